"""Which tokenizer made some ids: a hash that another tokenizer does not share."""

from __future__ import annotations

import hashlib
import json
from typing import Any

__all__ = ["tokenizer_hash"]

# Case, white space, digits, accents, scripts, code: where tokenizers of one vocabulary differ.
_PROBE = (
    "In the beginning,  God's  3.14",
    "\n\n\tdef f(x):\n    return x\r\n",
    "½ é e\u0301 ﬁ 漢字 \U0001f642 \u00a0\u00ad<b>1234567890",
    "HE SAID unto them; and-they-went",
)


def tokenizer_hash(tokenizer: Any) -> str:
    """Hash what a tokenizer makes of texts: its vocabulary with all ids, and some probing texts.

    Settings that do not touch the ids of a text, such as padding, do not enter.

    Args:
        tokenizer: Any Hugging Face tokenizer.

    Returns:
        A sha256, 64 hexadecimal digits.
    """
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: (item[1], item[0]))
    probes = [list(tokenizer(text, add_special_tokens=False)["input_ids"]) for text in _PROBE]
    text = json.dumps([vocabulary, probes], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
