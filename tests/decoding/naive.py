"""The definitions, written naively: a Python set of tuples, and MemFree token by token."""

import torch


def ngrams_of(documents, n):
    return {
        tuple(int(token) for token in document[start : start + n])
        for document in documents
        for start in range(len(document) - n + 1)
    }


def forbid(known, n, input_ids, scores):
    """MemFree over a set of tuples, without any way out."""
    result = scores.clone()
    for row, ids in enumerate(input_ids.tolist()):
        if len(ids) < n - 1:
            continue
        prefix = tuple(ids[len(ids) - (n - 1) :])
        for token in range(scores.shape[-1]):
            if (*prefix, token) in known:
                result[row, token] = -torch.inf
    return result
