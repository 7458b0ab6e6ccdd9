"""Networks that read tokens or sound: recurrent ones in torch, and small ones of the architectures in transformers."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from torch import Tensor, nn

from examples.exports.case import Export, lively

TOKENS = {0: "batch", 1: "sequence"}


def tokens(rows: int, length: int, vocabulary: int) -> Tensor:
    return torch.randint(1, vocabulary, (rows, length), generator=torch.Generator().manual_seed(1))


class Tagger(nn.Module):
    """One label for every word: a BiLSTM under a GRU."""

    def __init__(self, vocabulary: int = 200, width: int = 32, labels: int = 9) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width)
        self.both = nn.LSTM(width, width, num_layers=2, bidirectional=True, batch_first=True)
        self.on = nn.GRU(2 * width, width, batch_first=True)
        self.last = nn.Linear(width, labels)

    def forward(self, ids: Tensor) -> Tensor:
        return self.last(self.on(self.both(self.words(ids))[0])[0])


def tagger() -> Export:
    return Export(lively(Tagger()), {"ids": tokens(2, 17, 200)}, ("labels",))


class Classifier(nn.Module):
    """One label for a text: the last states of an LSTM in both directions, and the mean over words that are there."""

    def __init__(self, vocabulary: int = 300, width: int = 40) -> None:
        super().__init__()
        self.words = nn.Embedding(vocabulary, width, padding_idx=0)
        self.both = nn.LSTM(width, width, bidirectional=True, batch_first=True)
        self.last = nn.Sequential(nn.LayerNorm(4 * width), nn.Linear(4 * width, 24), nn.Tanh(), nn.Linear(24, 5))

    def forward(self, ids: Tensor) -> Tensor:
        there = (ids != 0).to(torch.float32)[..., None]
        every, (state, _) = self.both(self.words(ids))
        mean = (every * there).sum(1) / there.sum(1).clamp(min=1)
        return torch.log_softmax(self.last(torch.cat([state[0], state[1], mean], 1)), -1)


def classifier() -> Export:
    ids = tokens(3, 20, 300)
    ids[1, 12:] = 0
    return Export(lively(Classifier()), {"ids": ids}, ("scores",), {"ids": TOKENS})


class Field(nn.Module):
    """A model of transformers that returns one field of its record."""

    def __init__(self, inner: nn.Module, field: str, **fixed: Any) -> None:
        super().__init__()
        self.inner, self.field, self.fixed = inner, field, fixed

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None) -> Tensor:
        mask = {} if attention_mask is None else {"attention_mask": attention_mask}
        return getattr(self.inner(input_ids=input_ids, **mask, **self.fixed), self.field)


def masked(vocabulary: int = 500) -> dict[str, Tensor]:
    ids = tokens(2, 24, vocabulary)
    mask = torch.ones_like(ids)
    mask[1, 15:] = 0
    return {"input_ids": ids, "attention_mask": mask}


SMALL: dict[str, Any] = {"vocab_size": 500, "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4,
                         "intermediate_size": 128, "max_position_embeddings": 128}


def bert() -> Export:
    config = transformers.BertConfig(**SMALL, attn_implementation="eager")
    model = transformers.BertModel(config, add_pooling_layer=False)
    open_ = dict.fromkeys(("input_ids", "attention_mask"), TOKENS)
    return Export(lively(Field(model, "last_hidden_state")), masked(), ("hidden",), open_)


def gpt2() -> Export:
    config = transformers.GPT2Config(vocab_size=500, n_positions=128, n_embd=64, n_layer=4, n_head=4, use_cache=False)
    return Export(lively(Field(transformers.GPT2LMHeadModel(config), "logits")), {"input_ids": tokens(1, 24, 500)},
                  ("logits",))


def llama() -> Export:
    config = transformers.LlamaConfig(**SMALL, num_key_value_heads=2, use_cache=False)
    return Export(lively(Field(transformers.LlamaForCausalLM(config), "logits")), {"input_ids": tokens(1, 24, 500)},
                  ("logits",))


def t5_encoder() -> Export:
    """Positions are told by a bias for every distance between two tokens, found in buckets that widen."""
    config = transformers.T5Config(vocab_size=500, d_model=64, d_kv=16, d_ff=128, num_layers=3, num_heads=4,
                                   feed_forward_proj="gated-gelu")
    model = transformers.T5EncoderModel(config)
    open_ = dict.fromkeys(("input_ids", "attention_mask"), TOKENS)
    return Export(lively(Field(model, "last_hidden_state")), masked(), ("hidden",), open_)


class Whisper(nn.Module):
    """The hidden states of the decoder, for sound and the tokens written so far."""

    def __init__(self) -> None:
        super().__init__()
        config = transformers.WhisperConfig(
            vocab_size=500, num_mel_bins=40, d_model=64, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
            decoder_attention_heads=4, encoder_ffn_dim=128, decoder_ffn_dim=128, max_source_positions=50,
            max_target_positions=32, pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1,
        )  # fmt: skip
        self.inner = transformers.WhisperModel(config)

    def forward(self, sound: Tensor, ids: Tensor) -> Tensor:
        return self.inner(input_features=sound, decoder_input_ids=ids, use_cache=False).last_hidden_state


def whisper() -> Export:
    sound = torch.randn(1, 40, 100, generator=torch.Generator().manual_seed(1))
    return Export(lively(Whisper()), {"sound": sound, "ids": tokens(1, 12, 500)}, ("hidden",))


class Choice(nn.Module):
    """torch.cond: a network or another, by what the input sums up to."""

    def __init__(self) -> None:
        super().__init__()
        self.deep = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 8))
        self.flat = nn.Linear(16, 8)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cond(x.sum() > 0, lambda x: self.deep(x), lambda x: self.flat(x), (x,))


def choice() -> Export:
    x = torch.randn(4, 16, generator=torch.Generator().manual_seed(1))
    return Export(lively(Choice()), {"x": x}, ("y",))


class Steps(nn.Module):
    """while_loop: a layer again and again until its result has grown."""

    def __init__(self) -> None:
        super().__init__()
        self.step = nn.Linear(12, 12)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        def goes_on(count: Tensor, y: Tensor) -> Tensor:
            return (count < 20) & (y.abs().sum() < 200)

        def body(count: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            return count + 1, y * 1.1 + torch.tanh(self.step(y))

        count, y = torch._higher_order_ops.while_loop(goes_on, body, (torch.tensor(0), x))
        return count, y


def steps() -> Export:
    x = torch.randn(3, 12, generator=torch.Generator().manual_seed(1))
    return Export(lively(Steps()), {"x": x}, ("count", "y"))


NETWORKS = {"tagger": tagger, "classifier": classifier, "bert": bert, "gpt2": gpt2, "llama": llama,
            "t5_encoder": t5_encoder, "whisper": whisper, "choice": choice, "steps": steps}
