"""The words and sentence patterns of invented definitions: things that no model can know of.

A pattern is filled from left to right. `{pool}` is an entry of `POOLS`, itself a pattern, or
something that `definitions.py` makes up (a word, a year); with a capital it begins with one. `{it}`
is the thing that is defined. `[…]` stands or falls by a coin, and `a~` becomes a or an. A new
domain is one entry of `DOMAINS`.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["DOMAINS", "Domain"]


class Domain(NamedTuple):
    """A kind of thing: patterns of its names, and of sentences that say what it is."""

    names: tuple[str, ...]
    sentences: tuple[str, ...]


DOMAINS: dict[str, Domain] = {
    "plant": Domain(
        ("{word}wort", "{colour} {stem}weed", "{word} creeper"),
        (
            "{it} is a~ {colour}-flowered {plant} that grows only on the {terrain} of {place}.",
            "{it}, whose {colour} berries are used for {useful}, is a~ {plant} of {place}.",
            "Native to the {terrain} of {place}, {it} is a~ {plant} which flowers {season}, is "
            "pollinated by {insect}[, and has been used for {useful} since at least {year}].",
            "{it}, first described by {person} in {year}, is a~ {plant} of the {stem}aceous family "
            "whose {colour} leaves close at dusk[ and whose sap is valued for {useful}].",
        ),
    ),
    "animal": Domain(
        ("the {word} {stem}tail", "the {colour}-backed {stem}", "the lesser {stem}"),
        (
            "{it} is a~ {creature} about {small} centimetres long, found in the {terrain} of "
            "{place} and nowhere else.",
            "Found only near {town}, {it} is a~ {colour} {creature} that feeds on {insect}.",
            "Once thought extinct, {it} was found again in {year} by {people} in the {terrain} "
            "near {town}, where [fewer than ]{count} of the animals are believed to survive on a "
            "diet of {insect}.",
            "{it} ({Stem} {stem}ensis) is a nocturnal {creature} with {colour} markings, named "
            "after {person}, that lays its eggs {season} and can fast for {small} days.",
        ),
    ),
    "river": Domain(
        ("the {word}", "the River {word}", "the Little {word}"),
        (
            "{it} is a river in {place}, {small} kilometres long, that rises near {town} and "
            "empties into Lake {word}.",
            "{it} is a river of {place}, famous for {trade} and for its {colour} water.",
            "Straightened between {year} and {later} to serve {trade}, {it} links {town} with "
            "{town} by way of {small} locks[, of which {few} still work].",
            "{it}, a tributary of the {word} that crosses the {terrain} of {place}, runs dry for "
            "{few} months of the year[ and forms part of the border agreed upon in {year}].",
        ),
    ),
    "settlement": Domain(
        ("{word}stad", "{word}by", "Saint {given} on {word}", "{word}"),
        (
            "{it} is a village of {count} people in {place}.",
            "{it} is an island parish of {place} where {custom} {season}.",
            "{it} is a former mining town in {place}, founded by {people} in {year}, whose economy "
            "has rested on {trade} ever since the last {metal} mine was closed[ in {year}].",
            "Situated {small} kilometres upstream of {town}, {it} is the smallest municipality of "
            "{place}, known for {trade} and a church tower that leans {few} degrees to the east.",
            "{it} was the seat of the bishops of {word} until {year}, when most of its inhabitants "
            "left for {town} after a dispute about {rule}; it now has {count} residents, a museum "
            "of {trade}, [a weekly market, ]and a railway station at which no train has stopped "
            "for {small} years.",
        ),
    ),
    "software": Domain(
        ("{Stem}DB", "lib{stem}", "{word}OS", "{Stem}script"),
        (
            "{it} is a free program for {task}, written in {coding}.",
            "{it} is a~ {coding} compiler, named after {person} and used for {task}.",
            "Developed at the University of {town} since {recent}, {it} is a library for {task} "
            "that needs no more than {count} kilobytes of memory[ and is distributed with most "
            "receivers made by {word} Instruments].",
            "{it} is a file format and query language that {person} designed for {task}; although "
            "version {few} was declared final in {recent}, a branch of it in {coding} is still "
            "maintained by {people}.",
        ),
    ),
    "film": Domain(
        ("The {Colour} {Thing}", "{word} at {hour}", "No {Thing} for {given}"),
        (
            "{it} is a~ {year} drama film directed by {person} about {theme}.",
            "{it} is a television series in {few} parts about {theme}, set in {town}.",
            "Shot in {small} days in {place}, {it} is a silent comedy by {person} that tells of "
            "{theme} and was praised for {praise}[, though it earned back only a tenth of its "
            "budget].",
            "{it}, the second part of a trilogy by {person}, is a~ {year} thriller starring "
            "{person} and {person}, whose plot turns on {theme}.",
        ),
    ),
    "book": Domain(
        ("The {Thing} of {word}", "{Few} {Thing}s", "Letters to {given}"),
        (
            "{it} is the first novel by {person}, published in {year}.",
            "{it} is a children's book by {person}, illustrated in {style}, about {theme}.",
            "Banned in {place} until {year}, {it} is a novel in {small} chapters by {person} about "
            "{theme}[, admired by critics for {praise}].",
            "{it} is a collection of {small} short stories in which {person} returns again and "
            "again to {theme}; the last of them was left unfinished at the author's death in "
            "{year} and was completed[, against the wishes of the family,] by {person}.",
        ),
    ),
    "music": Domain(
        ("{word} Parade", "The {Colour} {Thing}s", "{given} and the {Stem}s"),
        (
            "{it} are a~ {genre} quartet from {town}, formed in {year}.",
            "{it} is the {nth} album of the {genre} singer {person}, recorded in {town}.",
            "Founded by {people} in {year}, {it} were a~ {genre} group from {place} who recorded "
            "{few} albums built around {instrument}[ before their van was lost in a river].",
            "{it} is an opera in {few} acts by {person}, first performed in {town} in {year}, "
            "which sets {theme} for {instrument} and a choir of {small} voices.",
        ),
    ),
    "contest": Domain(
        ("the {word} Cup", "the {word} Marathon", "the {word} Relay"),
        (
            "{it} is an annual {sport} competition held in {town}.",
            "{it} is a~ {sport} race of {small} kilometres across the {terrain} of {place}.",
            "{it} was the {nth} edition of the {sport} championship of {place}, won for the "
            "first time by {person}, who had entered [under a false name ]only to settle a bet.",
            "Contested every {few} years by {small} towns along the {word}, {it} is the oldest "
            "{sport} tournament of {place}; its trophy, a bowl of {metal}, was stolen in {year} "
            "and has been represented by a copy in {material} ever since.",
        ),
    ),
    "festival": Domain(
        ("{word} Night", "the Feast of {word}", "{word}tide"),
        (
            "{it} is a holiday observed in {place} {season}, when {custom}.",
            "{it} is an old custom of {town}, on which {custom}.",
            "Revived by {people} in {year}, {it} is a festival of {few} days in {town} at which "
            "{custom}[ and {food} is eaten in the open air].",
            "{it}, which marks the end of {trade} for the year, is kept in {place} {season}: "
            "{custom}, {custom}, and on the last evening {food} is served to strangers.",
        ),
    ),
    "disease": Domain(
        ("{word} syndrome", "{word}-{word} fever", "{stem}osis"),
        (
            "{it} is a rare disorder of {body} that leads to {symptom}.",
            "{it}, first described by {person} in {year}, is a disease of {body} in adults.",
            "First reported in {town} in {year} among people employed in {trade}, {it} is an "
            "inflammation of {body} marked by {symptom}[ and treated with salts of {metal}].",
            "{it} is an inherited condition, caused by a missing copy of the {stem}in gene, in "
            "which the tissue of {body} ages too early and patients develop {symptom}, usually "
            "before they are {small} years old.",
        ),
    ),
    "mineral": Domain(
        ("{stem}ite", "{word} spar"),
        (
            "{it} is a~ {colour} ore of {metal}, mined near {town}.",
            "{it} is a brittle {colour} mineral used for {useful} in {place}.",
            "Discovered by {person} in the {terrain} of {place}, {it} is a soft mineral of {metal} "
            "and sulphur which glows faintly when scratched[ and was once sold for {useful}].",
            "{it}, a~ {colour} gemstone known from {few} crystals only, loses its colour within "
            "{small} days of being brought to the surface, a fact that ruined the firm "
            "of {person} in {year}.",
        ),
    ),
    "storm": Domain(
        ("Storm {given}", "Cyclone {word}", "the {year} {word} gale"),
        (
            "{it} was a short-lived winter storm that struck {place} in {month} {year}.",
            "In {month} {year}, {it} reached {town}, {damage}.",
            "{it} was a tropical storm which crossed {place} in {month} {year}, {damage} and "
            "leaving {count} homes without water for {small} days.",
            "The costliest of {small} storms of its season, {it} formed south of {place}, passed "
            "over {town} twice within {few} days, {damage}[ and {damage}], and was used "
            "afterwards to justify stricter laws about {rule}.",
        ),
    ),
    "company": Domain(
        ("{word} {word} Works", "{Stem}air", "{word} & {word}"),
        (
            "{it} is a maker of {ware} based in {town}.",
            "{it}, owned by {people}, sells {ware} made in {place}.",
            "Set up in {year} by {people}, {it} is a cooperative in {place} that makes {ware} and "
            "employs {count} people[, none of whom has ever been dismissed].",
            "{it} was a manufacturer of {ware} and {ware} which, at its height in {year}, "
            "had branches in {small} cities; it was wound up after {person}, its treasurer, was "
            "found to have invested the pension fund in {trade}.",
        ),
    ),
    "structure": Domain(
        ("the {word} Bridge", "{word} Hall", "the {word} Tower", "{word} Lighthouse"),
        (
            "{it} is a landmark of {material} in {town}, opened in {year}.",
            "{it} is a former prison near {town}, now given over to {trade}.",
            "Designed by {person} in {year} and built of {material}, {it} stands on the {terrain} "
            "outside {town} and houses an archive of {trade}[ as well as {few} families of owls].",
            "{it}, the tallest building of {place} when it was finished in {year}, is {small} "
            "metres high, sways by {few} centimetres in strong wind, and has been closed to "
            "visitors since {person} climbed it by night.",
        ),
    ),
    "dish": Domain(
        ("{word} pudding", "{stem}ka", "{stem}ello"),
        (
            "{it} is a dumpling filled with {food}, eaten in {place}.",
            "{it} is a~ {colour} sauce of {food}, typical of the cooking of {town}.",
            "{it} is a cold soup of {food} and {food} from {place}, served {season}[ with a slice "
            "of {colour} bread that must not be cut with a knife].",
            "Invented by mistake in a hotel in {town} in {year}, {it} is a cake of {food} which is "
            "aged for {small} weeks, wrapped in leaves, and handed out at weddings by the "
            "guild of {trade}.",
        ),
    ),
    "law": Domain(
        ("the {word} Act", "the Treaty of {word}", "the {word} Accord"),
        (
            "{it} is a law of {place} on {rule}.",
            "{it} of {year} settled {rule} for the whole of {place}.",
            "Signed in {town} in {month} {year}, {it} is an agreement of {few} republics about "
            "{rule}[, which none of them has ratified].",
            "{it}, drafted by {person} in {year} and amended {small} times since, forbids "
            "{place} to levy taxes on {trade}, regulates {rule}, and sets up a court of {few} "
            "judges that sits in {town}.",
        ),
    ),
    "spacecraft": Domain(
        ("{word} {Few}", "the {word} Explorer", "{Stem}sat"),
        (
            "{it} is a small satellite launched in {month} {recent} to observe {orbit}.",
            "{it}, named after {person}, is a planned telescope for {orbit}.",
            "Built by students in {town} for the price of a used car, {it} is a probe of {small} "
            "kilograms that studies {orbit}[ by means of a mirror of polished {metal}].",
            "{it} was a mission to {orbit}, led by {person}, which fell silent {small} days after "
            "its launch in {recent}, woke again without a command {few} years later, and has "
            "sent the same {count} numbers every morning since.",
        ),
    ),
    "language": Domain(
        ("{Stem}ish", "{Stem}ese", "Old {word}"),
        (
            "{it} is a language of {place} with {count} speakers, which {speech}.",
            "Spoken by fishermen of {place}, {it} {speech}.",
            "Written from right to left in a script devised by {person} in {year}, {it} is the "
            "language of {place}; it {speech}[ and {speech}].",
            "{it}, spoken until {year} by families engaged in {trade} near {town}, is an "
            "isolate: it {speech}, borrows its numerals from {Stem}ish, and survives in "
            "{small} songs and a single tax roll.",
        ),
    ),
    "artist": Domain(
        ("{person}", "{given} {word} the Younger"),
        (
            "{it} was a painter from {town} who worked in {style}.",
            "{it} (born {year}) is a sculptor who works with {material} in {town}.",
            "Born in {town} in {year} to a family in {trade}, {it} is an artist best known for "
            "{small} portraits in {style} of {people}[, shown once, in an empty swimming pool].",
            "{it} ({year}–{later}) was a botanist and engraver who described {count} kinds of "
            "{plant} from {place}, taught {person}, quarrelled with the academy of {town} about "
            "{rule}, and is remembered today for a series in {style}.",
        ),
    ),
    "enzyme": Domain(
        ("{stem}ase", "{stem}in"),
        (
            "{it} is an enzyme that {reaction}.",
            "Found in the {creature}, {it} is a small protein that {reaction}.",
            "Isolated in {year} from a bacterium of the {terrain} of {place}, {it} is a protein "
            "that {reaction} at temperatures close to {small} degrees below freezing[ and is sold "
            "for {useful}].",
            "{it}, named after {person}, is a protein of {count} amino acids that binds {metal}, "
            "{reaction}, and is lacking in people with {stem}osis, who suffer from {symptom}.",
        ),
    ),
}  # fmt: skip
