"""The words of invented definitions; `fiction.py` has the sentences."""

from __future__ import annotations

__all__ = ["POOLS", "SYLLABLES"]


def _words(text: str, at: str = ",") -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(at))


SYLLABLES = {
    "first": _words(
        "bal, bre, cor, dan, dru, el, fen, gar, gri, hal, hes, il, jor, kel, kra, lin, lo, mar, "
        "mor, nar, nil, ol, os, pel, pra, quil, ren, ros, sar, sel, tam, tor, ul, ush, vel, vin, "
        "wes, yar, zan, zel"
    ),
    "middle": _words(
        "a, an, ba, da, e, en, fi, go, i, in, ka, le, li, ma, mo, na, o, ri, ro, sa, ti, u, va"
    ),
    "last": _words(
        "bek, dar, dis, don, dra, fax, gan, kin, lo, lun, mir, mon, nax, nia, nor, phis, quin, "
        "ra, ric, sha, sten, tal, tha, ven, vik, wen, zor"
    ),
}

POOLS: dict[str, tuple[str, ...]] = {
    "place": (
        "{word}holm", "{word}vale", "{word}mere", "{word}", "Upper {word}", "Port {word}",
        "the {word} Islands", "the {word} Valley", "the province of {word}", "eastern {word}",
    ),
    "town": ("{word}ford", "{word}by", "{word}stad", "{word}", "New {word}", "{word}mouth"),
    "person": ("{given} {word}", "{given} {word}", "{given} van {word}", "{given} {word}-{word}"),
    "given": _words(
        "Adela, Bruno, Cosima, Dario, Edda, Florian, Greta, Hakon, Ines, Jonas, Katla, Leopold, "
        "Mirela, Nils, Odile, Pavel, Renata, Silas, Tove, Ulrich, Vera, Wim"
    ),
    "people": _words(
        "cartographers, clockmakers, two sisters, retired sailors, a schoolteacher, local farmers, "
        "students of geology, an amateur astronomer, a widowed baker, a crew of divers"
    ),
    "terrain": _words(
        "salt marshes, limestone cliffs, northern slopes, dry riverbeds, flooded quarries, "
        "high meadows, mangrove creeks, volcanic plains, wet heaths, shaded gorges"
    ),
    "colour": _words("amber, ashen, crimson, indigo, ivory, olive, russet, slate, teal, violet"),
    "season": _words("in late autumn, in early spring, after the first frost, in midsummer"),
    "insect": _words("hawk moths, hoverflies, a single kind of beetle, night-flying bees, ants"),
    "useful": _words(
        "dyeing sailcloth, flavouring black tea, tanning leather, mending nets, easing toothache, "
        "polishing lenses, lining granaries, thickening soups"
    ),
    "metal": _words("copper, nickel, tungsten, zinc, manganese, cobalt"),
    "body": _words("the inner ear, the wrist, the cornea, the lung, the nerves of the hand"),
    "symptom": _words(
        "a slow loss of smell, brief fits of sneezing, a ringing in the ears, cramps at night, "
        "a harmless rash, trouble telling faces apart"
    ),
    "trade": _words(
        "lighthouse keeping, paper making, the peat trade, pearl diving, hop growing, "
        "glass blowing, the eel fishery, rope walking"
    ),
    "theme": _words(
        "a forger who falls in love with her own signature, three brothers who inherit a ferry, "
        "the last winter of a mountain observatory, a translator who is paid to lie, "
        "a village that votes to move uphill, a chess tutor without pupils, "
        "a piano tuner who loses his hearing, the trial of a weather forecaster, "
        "two rival beekeepers, a letter that arrives sixty years late"
    ),
    "praise": _words(
        "its patient camera work, its refusal of a happy ending, the accuracy of its dialects, "
        "its strange sense of time, a score for four bassoons, its plain language"
    ),
    "task": _words(
        "sorting satellite pictures, scheduling night trains, indexing court records, "
        "proofreading sheet music, counting migrating birds, balancing small power grids, "
        "compressing seismic readings, translating tide tables"
    ),
    "coding": _words("Rust, Haskell, portable C, Erlang, OCaml, a dialect of Lisp"),
    "instrument": _words("the hurdy-gurdy, the bass clarinet, the musical saw, the glass harp"),
    "genre": _words("chamber folk, slow techno, brass, desert blues, a cappella, minimalist"),
    "sport": _words("handball, fell running, bog snorkelling, curling, stone lifting, rowing"),
    "food": _words(
        "smoked barley, pickled walnuts, sour milk, chestnut flour, river crayfish, black garlic, "
        "fermented turnips, buckwheat honey"
    ),
    "ware": _words(
        "hearing aids, weather balloons, folding canoes, ceramic knives, braille printers, "
        "greenhouse lamps, tide gauges, artificial ice"
    ),
    "rule": _words(
        "who may fish at night, how high a fence may stand, the sale of counterfeit maps, "
        "the naming of newly formed islands, noise from windmills, the export of peat"
    ),
    "orbit": _words(
        "the dust between the two outer moons, the magnetic tail of the planet, polar ice clouds, "
        "the dark side of a captured asteroid, slow radio bursts"
    ),
    "damage": _words(
        "flooding the old harbour, felling some nine hundred oaks, cutting the only railway, "
        "stripping the roof of the cathedral, stranding four ferries"
    ),
    "custom": _words(
        "lanterns of waxed paper are set afloat, masked children guard the bridges, "
        "every household exchanges a loaf, the oldest resident is rowed around the lake, "
        "silence is kept until noon, debts of less than a penny are forgiven"
    ),
    "material": _words("riveted iron, bleached oak, pink granite, rammed earth, basalt fibre"),
    "speech": _words(
        "has no word for left or right, marks hearsay with a click, counts in groups of twelve, "
        "puts the verb before everything else, distinguishes nine kinds of rain"
    ),
    "reaction": _words(
        "splits long sugars, repairs broken strands of RNA, turns nitrite into ammonia, "
        "folds newly made collagen, strips copper from membranes"
    ),
    "creature": _words("salamander, wading bird, river shrimp, burrowing owl, tree frog, vole"),
    "plant": _words("shrub, climbing vine, moss, thistle, orchid, sedge, dwarf willow"),
    "thing": _words("lantern, ladder, harvest, mirror, orchard, anchor, kettle, window"),
    "hour": _words("noon, dusk, midnight, low tide"),
    "month": _words("January, March, April, June, August, October, November"),
    "few": _words("two, three, four, five, six, seven, eight, nine"),
    "style": _words("tempera on slate, charcoal, stitched felt, etching, enamel, cut paper"),
}  # fmt: skip
