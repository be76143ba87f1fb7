import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from byrote.errors import InputError
from byrote.texts import (
    Alphabet,
    letters_alphabet,
    random_token_alphabet,
    token_alphabet,
    uniform,
)

LETTERS = "abcdefghijklmnopqrstuvwxyz"


def word_level(vocab, *, metaspace=True, **options):
    """A tokenizer with the given tokens and, as SentencePiece has it, a space put in front."""
    backend = Tokenizer(models.BPE(vocab=vocab, merges=[], unk_token="<unk>"))
    if metaspace:
        backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
        backend.decoder = decoders.Metaspace()
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", **options)


@pytest.fixture(scope="module")
def sentence_piece():
    """Each letter is two pieces: the leading space, and the letter."""
    tokens = ["<unk>", "<s>", "▁", *LETTERS]
    return word_level({token: i for i, token in enumerate(tokens)}, bos_token="<s>")


@pytest.mark.parametrize("size", [2, 4, 7, 13, 26])
def test_the_first_letters_one_token_each(byte_tokenizer, size):
    alphabet = letters_alphabet(byte_tokenizer, size)
    assert alphabet.ids == tuple(LETTERS[:size].encode())
    assert alphabet.letters == tuple(LETTERS[:size])
    assert alphabet.size == size


def test_pitfall_1_leading_space_pieces_are_left_out(sentence_piece):
    assert len(sentence_piece("a", add_special_tokens=False)["input_ids"]) == 2
    alphabet = letters_alphabet(sentence_piece, 26)
    assert sentence_piece.convert_ids_to_tokens(list(alphabet.ids)) == list(LETTERS)


def test_pitfall_1_merges_cannot_shorten_a_string(tokenizer):
    # This tokenizer merges "th" and "he"; the string is never tokenized, so they stay apart.
    assert len(tokenizer("the", add_special_tokens=False)["input_ids"]) < 3
    alphabet = letters_alphabet(tokenizer, 26)
    ids = uniform(alphabet).draw(256, 0)
    assert len(ids) == 256
    assert len(set(ids.tolist())) == 26
    assert set(ids.tolist()) == set(alphabet.ids)


def test_pitfall_1_no_bos_slips_in(sentence_piece):
    backend = sentence_piece.backend_tokenizer
    from tokenizers.processors import TemplateProcessing

    before = backend.post_processor
    backend.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    try:
        assert sentence_piece("a")["input_ids"][0] == 1
        assert 1 not in letters_alphabet(sentence_piece, 26).ids
    finally:
        backend.post_processor = before


def test_a_letter_that_is_split_is_named_with_the_way_out():
    from transformers import ByT5Tokenizer

    class Halves(ByT5Tokenizer):
        def _tokenize(self, text):
            return [piece for letter in text for piece in (letter, letter)]

    with pytest.raises(InputError, match=r"letter 'a' is 2 pieces of .*Halves.*'a', 'a'.*tokens"):
        letters_alphabet(Halves(), 4)


def test_an_unknown_letter_is_named():
    tokens = ["<unk>", "▁", *LETTERS[:5]]
    tokenizer = word_level({token: i for i, token in enumerate(tokens)})
    with pytest.raises(InputError, match=r"letter 'f'.*<unk>"):
        letters_alphabet(tokenizer, 6)
    assert letters_alphabet(tokenizer, 5).size == 5


@pytest.mark.parametrize("size", [-1, 0, 1, 27])
def test_only_2_to_26_letters(byte_tokenizer, size):
    with pytest.raises(InputError, match=f"{size} letters"):
        letters_alphabet(byte_tokenizer, size)


def test_no_tokenizer_no_letters():
    with pytest.raises(InputError, match=r'no tokenizer.*"tokens"'):
        letters_alphabet(None, 26)


def test_letters_beyond_the_vocabulary():
    tokenizer = word_level({"<unk>": 0, "a": 1, "b": 2}, metaspace=False)
    with pytest.raises(InputError, match="vocabulary of 3"):
        letters_alphabet(tokenizer, 4)


def test_given_tokens_keep_their_order(byte_tokenizer):
    alphabet = token_alphabet([104, 7, 101], 256, byte_tokenizer)
    assert alphabet.ids == (104, 7, 101)
    assert alphabet.letters == ("h", "<7>", "e")
    assert token_alphabet([5, 3], 10).letters == ("<5>", "<3>")


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([1, 10], r"10 of the alphabet is outside .* 10 ids \(0 to 9\)"),
        ([-1, 1], "-1"),
        ([3, 4, 3], "3 stands more than once"),
        ([3], "at least 2"),
        (range(11), "11 tokens does not fit in a vocabulary of 10"),
    ],
)
def test_token_sets_that_cannot_be(ids, message):
    with pytest.raises(InputError, match=message):
        token_alphabet(ids, 10)


@settings(deadline=None)
@given(
    vocab=st.integers(2, 300),
    data=st.data(),
    seed=st.integers(0, 2**64 - 1),
)
def test_random_tokens_are_distinct_in_range_and_never_excluded(vocab, data, seed):
    size = data.draw(st.integers(2, vocab))
    barred = data.draw(st.sets(st.integers(0, vocab - 1), max_size=vocab - size))
    alphabet = random_token_alphabet(vocab, size, seed, exclude=barred)
    assert len(set(alphabet.ids)) == size
    assert not set(alphabet.ids) & barred
    assert all(0 <= i < vocab for i in alphabet.ids)
    assert alphabet == random_token_alphabet(vocab, size, seed, exclude=barred)


def test_random_tokens_are_never_special(sentence_piece):
    special = set(sentence_piece.all_special_ids)
    assert special
    most = len(sentence_piece) - len(special)
    alphabet = random_token_alphabet(50, most, 1, tokenizer=sentence_piece)
    assert set(alphabet.ids) == set(range(len(sentence_piece))) - special
    with pytest.raises(InputError, match=f"leaves {most}"):
        random_token_alphabet(50, most + 1, 1, tokenizer=sentence_piece)


def test_other_seeds_give_other_tokens():
    assert len({random_token_alphabet(50_000, 26, seed).ids for seed in range(20)}) == 20


def test_an_alphabet_checks_itself():
    with pytest.raises(InputError, match="give one each"):
        Alphabet((1, 2), ("a",))
    with pytest.raises(InputError, match="The letter 'a' stands for more than one token"):
        Alphabet((1, 2), ("a", "a"))


def test_a_token_written_like_the_id_of_another_is_shown_by_its_own():
    class Odd:
        def decode(self, ids):
            return {3: "<4>", 4: "\n", 5: "x"}[ids[0]]

    assert token_alphabet((3, 4, 5), 10, Odd()).letters == ("<3>", "<4>", "x")


@pytest.mark.slow
def test_the_letters_of_a_real_tokenizer():
    from byrote.models import load

    tokenizer = load("bundled:smollm2-135m").tokenizer
    alphabet = letters_alphabet(tokenizer, 26)
    assert [tokenizer.decode([i]) for i in alphabet.ids] == list(LETTERS)
