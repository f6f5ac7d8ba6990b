"""What booru tags imply about the others, by a fine-tuned T5 and by counting.

    from tag_model import TagModel
    print(TagModel.load("FOLDER").suggest("usada_pekora"))

booru_pipeline writes this file beside the weights that it shares, and makes its ONNX graphs with it. It needs torch,
transformers and safetensors, and nothing of booru_pipeline. The answer is `booru suggest`'s.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional
from transformers import AutoModelForSeq2SeqLM

TAGS_FILE = "tags.json"
PAIRS_FILE = "pairs.safetensors"
PRESENCE_FILE = "presence.safetensors"
NO_LABEL = -1  # fills rows of labels up to one length

_LOWEST = -40.0  # of a score that is calibrated
_HIGHEST = 30.0  # log-odds that the mixture is given
_PRIOR = 10.0  # posts that a label's share of all posts is worth beside its share of those with another label
_LABELS_AT_ONCE = 256  # that are spelled out, where labels have pieces


class TagModel(nn.Module):
    """Labels to the probability that a picture with these, and nothing else known of it, has each other label.

    Attributes:
        tags: The labels' names, by row.
        categories: Their categories' names.
        aliases: The label that another name stands for.
        implies: All that a label implies, by its name.
        deprecated: Labels that are never suggested.
    """

    _pieces: torch.Tensor
    _sizes: torch.Tensor

    def __init__(
        self,
        t5: Any,
        told: Mapping[str, Any],
        pairs: Mapping[str, torch.Tensor] | None = None,
        presence: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        """Put the parts together.

        Args:
            t5: The fine-tuned T5.
            told: What `tags.json` says.
            pairs: Counts and weights of pairs of labels; without them the answer is the T5's alone.
            presence: What makes logits log-odds, where each label was a question of its own.
        """
        super().__init__()
        self.t5 = t5.eval()
        self.tags: list[str] = told["labels"]
        self.categories: list[str] = told["categories"]
        self.aliases: dict[str, str] = told["aliases"]
        self.implies: dict[str, list[str]] = told["implies"]
        self.deprecated: list[str] = told["deprecated"]
        self._row = {tag: row for row, tag in enumerate(self.tags)}
        self._told = dict(told)
        self._presence = None if presence is None else nn.ParameterDict(dict(presence))
        self._counting = None if pairs is None else Counting(pairs, told["mixture"])
        if told["pieces"] is not None:
            sizes = torch.tensor([len(tokens) for tokens in told["pieces"]])
            table = torch.full((len(sizes), int(sizes.max())), t5.config.pad_token_id)
            for row, tokens in enumerate(told["pieces"]):
                table[row, : len(tokens)] = torch.tensor(tokens)
            self.register_buffer("_pieces", table, persistent=False)
            self.register_buffer("_sizes", sizes, persistent=False)
        self.requires_grad_(False)

    @classmethod
    def load(cls, folder: str | Path, told: Mapping[str, Any] | None = None) -> "TagModel":
        """Read the folder that this file lies in, or another such folder; `told` is in the place of its `tags.json`."""
        path = Path(folder)
        told = told or json.loads((path / TAGS_FILE).read_text(encoding="utf-8"))
        tables = [load_file(path / name) if (path / name).is_file() else None for name in (PAIRS_FILE, PRESENCE_FILE)]
        t5 = AutoModelForSeq2SeqLM.from_pretrained(path, local_files_only=True, use_safetensors=True)
        return cls(t5, told, *tables)

    def suggest(self, *given: str, top: int = 10) -> list[tuple[str, float]]:
        """The most probable labels beside the given ones, each with its probability; 1 for what they imply.

        Args:
            given: Labels or aliases, such as `rabbit_ears`.
            top: How many.

        Raises:
            ValueError: None is given, or one is no label.
        """
        probability = self.probabilities([given])[0]
        named = {self._row[tag] for tag in self._known(given)}
        order = probability.argsort(descending=True, stable=True).tolist()
        wanted = [row for row in order if row not in named and self.tags[row] not in self.deprecated]
        return [(self.tags[row], float(probability[row])) for row in wanted[:top]]

    def rows(self, given: Sequence[str]) -> list[int]:
        """The rows of labels or aliases and of what they imply, each once, by name, as `forward` wants them.

        Raises:
            ValueError: There are none, or one is no label.
        """
        known = self._known(given)
        implied = {other for tag in known for other in self.implies.get(tag, [])}
        return [self._row[tag] for tag in sorted(implied.union(known))]

    def _known(self, given: Sequence[str]) -> list[str]:
        names = [self.aliases.get(name, name) for name in ("_".join(name.lower().split()) for name in given)]
        for name in names:
            if name not in self._row:
                raise ValueError(f"no label is called {name}")
        if not names:
            raise ValueError("no label is given")
        return list(dict.fromkeys(names))

    @torch.inference_mode()
    def probabilities(self, posts: Sequence[Sequence[str]]) -> torch.Tensor:
        """The same for many posts at once, each some labels: float32 [posts, labels]; 1 for what is given or implied.

        Raises:
            ValueError: A post has none, or one is no label.
        """
        rows = [self.rows(post) for post in posts]
        if not rows:
            return torch.empty(0, len(self.tags))
        filled = torch.full((len(rows), max(map(len, rows))), NO_LABEL)
        for post, labels in enumerate(rows):
            filled[post, : len(labels)] = torch.tensor(labels)
        return torch.as_tensor(self(filled))

    def forward(self, labels: torch.Tensor) -> torch.Tensor:
        """float32 [posts, labels]: the probability of each label; 1 for the given ones.

        Args:
            labels: int64 [posts, longest], rows of given labels, each once and with what they imply, filled up with -1.
        """
        given = labels != NO_LABEL
        number = given.sum(1)
        rows = labels.where(given, 0)
        count = len(self.tags)
        shape = labels[:, :1] * 0.0 + torch.zeros(count + 1)  # [posts, labels + 1], as many posts as there come
        # One more column takes what fills up, and is cut off again.
        place = labels.where(given, count)
        is_given = shape.scatter(1, place, 1.0)[:, :count] > 0.5
        odds = self._calibrated(self._scores(rows, given, number, is_given), number)
        odds = odds.masked_fill(is_given, -torch.inf)
        if self._counting is None:
            return odds.sigmoid().masked_fill(is_given, 1.0)
        return self._counting(odds, rows, given, number, shape, place).masked_fill(is_given, 1.0)

    def _scores(
        self, rows: torch.Tensor, given: torch.Tensor, number: torch.Tensor, is_given: torch.Tensor
    ) -> torch.Tensor:
        """The T5's scores, float32 [posts, labels]: log-odds, or log-probabilities over labels that are not given."""
        ids, mask = self._source(rows, given, number)
        memory = self.t5.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        start = torch.cat([torch.full_like(ids[:, :1], token) for token in self._told["answer_start"]], 1)
        if self._told["pieces"] is not None:
            parts = [self._spelled(memory, mask, start, part) for part in self._parts()]
            return torch.cat(parts, 1).masked_fill(is_given, -torch.inf).log_softmax(-1)
        first = self._told["first_token_id"]
        output = self.t5.lm_head.weight.narrow(0, first, len(self.tags))
        logits = functional.linear(self._decoded(start, memory, mask)[:, -1], output).float()
        if self._presence is None:
            return logits.masked_fill(is_given, -torch.inf).log_softmax(-1)
        n = _log(number)
        scale, bias, size = (self._presence[name] for name in ("scale", "bias", "size"))
        return logits * scale + bias + size[0] * n + size[1] * n * n

    def _source(
        self, rows: torch.Tensor, given: torch.Tensor, number: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The encoder's input: the labels' tokens and what comes after them, int64 [posts, tokens], and its mask."""
        pad = self.t5.config.pad_token_id
        if self._told["pieces"] is None:
            tokens, length = (rows + self._told["first_token_id"]).where(given, pad), number
        else:
            between = number if self._told["sentinel"] is None else number + 1
            tokens, length = self._text(rows, given, between)
        after = [token for token in (self._told["sentinel"], self._told["eos"]) if token is not None]
        tokens = torch.cat([tokens, *[torch.full_like(rows[:, :1], pad)] * len(after)], 1)
        at = torch.arange(tokens.shape[1])[None]
        for offset, token in enumerate(after):
            tokens = torch.where(at == length[:, None] + offset, token, tokens)
        return tokens, (at < length[:, None] + len(after)).long()

    def _text(
        self, rows: torch.Tensor, given: torch.Tensor, between: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The pieces of labels with separators between them, filled up with padding, and how many they are."""
        pieces = functional.pad(self._pieces[rows], (0, 1), value=self._told["separator"])
        at = torch.arange(pieces.shape[2])
        kept = at < self._sizes[rows][..., None]
        is_last = torch.arange(rows.shape[1])[None] >= between[:, None] - 1
        kept = (kept | ((at == pieces.shape[2] - 1) & ~is_last[..., None])) & given[..., None]
        pieces, kept = pieces.flatten(1), kept.flatten(1)
        order = torch.arange(pieces.shape[1])[None].where(kept, torch.arange(pieces.shape[1]) + pieces.shape[1])
        first = order.argsort(1)
        length = kept.sum(1)
        is_there = torch.arange(pieces.shape[1])[None] < length[:, None]
        return pieces.gather(1, first).where(is_there, self.t5.config.pad_token_id), length

    def _decoded(self, tokens: torch.Tensor, memory: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """What the output layer is given, [posts, tokens, d_model]."""
        state: torch.Tensor = self.t5.decoder(
            input_ids=tokens, encoder_hidden_states=memory, encoder_attention_mask=mask, use_cache=False
        ).last_hidden_state
        return state * self.t5.model_dim**-0.5 if self.t5.config.scale_decoder_outputs else state

    def _parts(self) -> list[torch.Tensor]:
        return list(torch.arange(len(self.tags)).split(_LABELS_AT_ONCE))

    def _spelled(
        self, memory: torch.Tensor, mask: torch.Tensor, start: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        """Log-probability that some labels are spelled out and ended after the start, float32 [posts, some]."""
        tokens = self._pieces[labels]
        posts, many = memory.shape[0], len(labels)
        answer = torch.cat([start[:, None].expand(-1, many, -1), tokens[None].expand(posts, -1, -1)], 2)
        state = self._decoded(answer.flatten(0, 1), memory.repeat_interleave(many, 0), mask.repeat_interleave(many, 0))[
            :, start.shape[1] - 1 :
        ]
        answers = min(self._told["first_token_id"], self.t5.lm_head.out_features)
        said = functional.linear(state, self.t5.lm_head.weight[:answers]).float().log_softmax(-1)
        said = said.unflatten(0, (posts, many))
        sizes = self._sizes[labels]
        spelled = said[:, :, :-1].gather(3, tokens[None, :, :, None].expand(posts, -1, -1, -1))[..., 0]
        spelled = spelled.masked_fill(torch.arange(tokens.shape[1]) >= sizes[:, None], 0.0).sum(2)
        ended = said[..., self._told["ends"]].logsumexp(3)
        at_end = sizes[None, :, None].expand(posts, -1, -1)
        return spelled + ended.gather(2, at_end)[..., 0]

    def _calibrated(self, scores: torch.Tensor, number: torch.Tensor) -> torch.Tensor:
        """bias + slope s + lift e^(s/2) + size n + bend n², with score s and n the log of how many are given."""
        by, n = self._told["calibration"], _log(number)
        bounded = scores.clamp(min=_LOWEST)
        lifted = by["lift"] * (bounded.clamp(max=0.0) / 2).exp()
        return by["bias"] + by["slope"] * bounded + lifted + by["size"] * n + by["bend"] * n * n


class Counting(nn.Module):
    """The T5's log-odds mixed with what pairs of labels say, and where one label alone is given, with its share."""

    _counts: torch.Tensor
    _prior: torch.Tensor
    _partners: torch.Tensor
    _together: torch.Tensor
    _odds: torch.Tensor
    _is_cut: torch.Tensor

    def __init__(self, pairs: Mapping[str, torch.Tensor], mixture: Mapping[str, Any]) -> None:
        """Take counts and weights as `pairs.safetensors` has them, and the mixture's weights."""
        super().__init__()
        self._mixture = dict(mixture)
        counts, posts = pairs["counts"], float(pairs["posts"][0])
        self._labels = len(counts)
        partners, together = _rows(pairs, "together", self._labels)
        prior = _PRIOR * (counts.double() + 0.5) / (posts + 1)
        beside = functional.pad(prior, (0, 1))[partners] + together
        share = (beside / (counts.double() + _PRIOR)[:, None]).clamp(max=1 - 1e-6)
        full = (partners != self._labels).sum(1)
        is_cut = (full == full.max()) & bool(full.max() < self._labels - 1)
        kept = {
            "_counts": counts,
            "_prior": prior.float(),
            "_partners": partners.int(),
            "_together": together,
            "_odds": share.logit().float(),
            "_is_cut": is_cut,
        }
        self._linear = [name.split(".")[0] for name in pairs if name.endswith(".data") and name != "together.data"]
        for name in self._linear:
            sources, weights = _columns(pairs, name, self._labels)
            kept |= {f"_{name}_sources": sources.int(), f"_{name}_weights": weights}
        for name, table in kept.items():
            self.register_buffer(name, table, persistent=False)

    def forward(
        self,
        odds: torch.Tensor,
        rows: torch.Tensor,
        given: torch.Tensor,
        number: torch.Tensor,
        shape: torch.Tensor,
        place: torch.Tensor,
    ) -> torch.Tensor:
        """Probabilities, float32 [posts, labels].

        Args:
            odds: [posts, labels], the T5's calibrated log-odds.
            rows: [posts, longest], given labels, 0 where none is.
            given: [posts, longest], where one is.
            number: [posts], how many.
            shape: Zeros, [posts, labels + 1].
            place: [posts, longest], the rows, and the last column where none is.
        """
        at = _between(number, self._mixture["knots"])
        mixed = (at @ torch.tensor(self._mixture["bias"]))[:, None]
        said = {"t5": odds, "strongest": self._strongest(rows, given, shape)}
        is_given = shape.scatter(1, place, 1.0)
        for name in self._linear:
            sources, weights = (self.get_buffer(f"_{name}_{part}") for part in ("sources", "weights"))
            estimate = (is_given[:, sources.long()] * weights.float()).sum(2)
            said[name] = 4.0 * estimate.clamp(-0.2, 1.2)
            said[f"log {name}"] = estimate.clamp(min=1e-4).log()
        for name, weight in self._mixture["weights"].items():
            mixed = mixed + (at @ torch.tensor(weight))[:, None] * said[name].clamp(-_HIGHEST, _HIGHEST)
        bias, slope = (at @ torch.tensor(self._mixture[f"known_{part}"]) for part in ("bias", "slope"))
        probability = (bias[:, None] + slope[:, None] * mixed.clamp(-_HIGHEST, _HIGHEST)).sigmoid()
        return self._counted(probability, rows, given, shape)

    def _strongest(self, rows: torch.Tensor, given: torch.Tensor, shape: torch.Tensor) -> torch.Tensor:
        """Log-odds of the highest share of a label among posts with one given label, [posts, labels]."""
        most = 2.0**62
        rarest = self._counts[rows].double().masked_fill(~given, most).amin(1, keepdim=True)
        others = rarest.masked_fill(rarest == most, 0.0).float() + _PRIOR
        found = functional.pad(self._prior.log() - (others - self._prior).log(), (0, 1))
        said = self._odds[rows].masked_fill(~given[..., None], -torch.inf)
        best = (shape + found).scatter_reduce(1, self._partners[rows].long().flatten(1), said.flatten(1), "amax")
        return best[:, : self._labels]

    def _counted(
        self, probability: torch.Tensor, rows: torch.Tensor, given: torch.Tensor, shape: torch.Tensor
    ) -> torch.Tensor:
        """One label alone, or with what always comes with it, has been counted: its share, with the mixture as prior.

        (k + a q) / (m + a), of m posts k that have the other label too, the mixture's q worth `a` posts.
        """
        counts = self._counts[rows].masked_fill(~given, 1 << 62)
        one = rows.gather(1, counts.argmin(1, keepdim=True))[:, 0]
        partners, together, posts = self._partners[one].long(), self._together[one], self._counts[one]
        always = together >= posts[:, None]
        comes = ((partners[:, None] == rows[..., None]) & always[:, None]).any(2)
        is_alone = (comes | (rows == one[:, None]) | ~given).all(1) & given.any(1)
        k = shape.scatter(1, partners, together.float())[:, : self._labels]
        is_counted = shape.scatter(1, partners, 1.0)[:, : self._labels] > 0.5
        prior = self._mixture["prior_posts"]
        share = (k + prior * probability) / (posts[:, None].float() + prior)
        return share.where(is_alone[:, None] & (is_counted | ~self._is_cut[one][:, None]), probability)


def _rows(tables: Mapping[str, torch.Tensor], name: str, labels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A sparse table's rows, filled up to one length: columns, `labels` where none is, and values, there 0."""
    ends, indices, data = (tables[f"{name}.{part}"] for part in ("indptr", "indices", "data"))
    sizes = ends.diff()
    is_there = torch.arange(max(int(sizes.max()), 1))[None] < sizes[:, None]
    columns, values = torch.full(is_there.shape, labels), torch.zeros(is_there.shape, dtype=data.dtype)
    columns[is_there], values[is_there] = indices.long(), data
    return columns, values


def _columns(tables: Mapping[str, torch.Tensor], name: str, labels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The same of its columns."""
    ends, indices, data = (tables[f"{name}.{part}"] for part in ("indptr", "indices", "data"))
    owner = torch.repeat_interleave(torch.arange(labels), ends.diff())
    order = indices.argsort(stable=True)
    starts = functional.pad(torch.bincount(indices.long(), minlength=labels).cumsum(0), (1, 0))
    turned = {"indptr": starts, "indices": owner[order], "data": data[order]}
    return _rows({f"{name}.{part}": table for part, table in turned.items()}, name, labels)


def _log(number: torch.Tensor) -> torch.Tensor:
    """[posts, 1]: the log of how many labels are given; none counts as one."""
    return number.clamp(min=1).float().log()[:, None]


def _between(number: torch.Tensor, knots: Sequence[int]) -> torch.Tensor:
    """How much of each knot's weight holds, [posts, knots]: linear in the log of the number between two knots."""
    at = torch.tensor([float(knot) for knot in knots]).log()
    x = number.clamp(knots[0], knots[-1]).float().log()[:, None]
    rising = (x - at[:-1]) / at.diff()
    rise, fall = functional.pad(rising, (1, 0), value=1.0), functional.pad(1 - rising, (0, 1), value=1.0)
    return torch.minimum(rise, fall).clamp(0.0, 1.0)
