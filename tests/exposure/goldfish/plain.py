"""Goldfish masks as they are defined, one token at a time, in Python's own integers."""

import numpy as np

WORD = 2**64
STEP = 0x9E3779B97F4A7C15


def finish(z):
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % WORD
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % WORD
    return z ^ (z >> 31)


def key(seed, use):
    return finish((finish((seed + STEP) % WORD) + use * STEP) % WORD)


def hash_of(window, seed):
    """The hash of a list of ids: a polynomial of one word per id, and its length, scrambled."""
    base = (key(seed, 1) // 8 * 8) | 5
    total = 0
    for token in window:
        total = (total + finish((token * STEP + key(seed, 0)) % WORD)) * base % WORD
    return finish((total + len(window) * STEP + key(seed, 2)) % WORD)


def keep_row(ids, starts, k, h, seed=0, least=None, exempt=(), separators=()):
    """True for each token of a row that is learned."""
    least = min(h, 4) if least is None else least
    keep, context = [], []
    for token, start in zip(ids, starts, strict=True):
        if start:
            context = []
        if token in separators:
            context = []
        if token < 0 or token in exempt or token in separators:
            keep.append(True)
            continue
        window = context[-h:]
        drop = len(window) >= least and (hash_of(window, seed) >> 32) * k < WORD >> 32
        keep.append(not drop)
        context.append(token)
    return keep


def official_row(ids, k, h, table):
    """The reference: the product of the last h targets picks a number from the table."""
    keep = [True] * len(ids)
    targets = ids[1:]
    for t in range(h - 1, len(targets)):
        product = np.int64(1)
        with np.errstate(over="ignore"):
            for token in targets[t - h + 1 : t + 1]:
                product = np.int64(product * np.int64(token))
        keep[t + 1] = not table[int(product) % len(table)] < np.float32(1 / k)
    return keep
