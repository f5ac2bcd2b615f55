"""The engine against itself (a mixed batch is its pairs alone) and against the adapters library."""

import random
import string

import pytest
import torch
from adapters.composition import Stack

from polyrank.encoders.grouped import Grouped
from polyrank.encoders.routed import RoutedEncoder, module_index, query_lengths, score, segments
from polyrank.errors import CompositionError, ModuleError, UsageError
from polyrank.modules.adapter.adapter_folder import load_adapter_module, save_adapter_module
from polyrank.modules.adapter.tensors import Head
from polyrank.modules.card import ModuleCard

LANGUAGES = ("de", "en", "fi", "ky", "tr", "zh")  # those of the fixture tiny_zoo
TOLERANCE = {"rtol": 0.0, "atol": 1e-5}


def words(generator, length):
    return " ".join(
        "".join(generator.choices(string.ascii_lowercase, k=generator.randint(1, 4)))
        for _ in range(length)
    )


@pytest.fixture
def pairs():
    """24 pairs of texts of many lengths: (query, document, query module, document module)."""
    generator = random.Random(3)
    return [
        (
            words(generator, generator.randint(1, 6)),
            words(generator, generator.randint(1, 14)),
            generator.randrange(-1, len(LANGUAGES)),
            generator.randrange(-1, len(LANGUAGES)),
        )
        for _ in range(24)
    ]


@pytest.fixture
def engine(tiny_base, tiny_zoo):
    zoo = tiny_zoo / tiny_base.name
    languages = [load_adapter_module(zoo / "language" / "adapter" / tag) for tag in LANGUAGES]
    return RoutedEncoder(
        tiny_base.model, languages, load_adapter_module(zoo / "ranking/adapter/squad")
    )


def encode(base, pairs):
    queries, documents, *_ = zip(*pairs, strict=True)
    return base.tokenizer(
        list(queries),
        list(documents),
        padding=True,
        truncation=True,
        max_length=64,
        return_tensors="pt",
    )


def scores(base, engine, pairs, routing):
    encoding = encode(base, pairs)
    query_modules = torch.tensor([pair[2] for pair in pairs])
    document_modules = torch.tensor([pair[3] for pair in pairs])
    index = module_index(segments(encoding), query_modules, document_modules, routing)
    return score(engine(**encoding, module_index=index), engine.ranking.head)


@pytest.mark.parametrize("routing", ["none", "query", "document", "split"])
def test_a_mixed_batch_scores_each_pair_as_alone(tiny_base, engine, pairs, routing):
    together = scores(tiny_base, engine, pairs, routing)
    alone = torch.cat([scores(tiny_base, engine, [pair], routing) for pair in pairs])
    torch.testing.assert_close(together, alone, **TOLERANCE)
    assert together.std() > 0.05  # the scores differ at all


@pytest.mark.parametrize("routing", ["query", "document", "split"])
def test_the_property_above_would_see_a_wrong_module(tiny_base, engine, pairs, routing):
    right = scores(tiny_base, engine, pairs, routing)
    shifted = [(q, d, (i + 2) % 7 - 1, (j + 2) % 7 - 1) for q, d, i, j in pairs]
    wrong = scores(tiny_base, engine, shifted, routing)
    assert ((right - wrong).abs() > 1e-3).all()


def test_each_side_sees_its_own_module(tiny_base, engine, pairs):
    same = [(q, d, 1, 1) for q, d, *_ in pairs]
    other_query = [(q, d, 2, 1) for q, d, *_ in pairs]
    other_document = [(q, d, 1, 2) for q, d, *_ in pairs]
    for routing, query_counts, document_counts in [
        ("none", False, False),
        ("query", True, False),
        ("document", False, True),
        ("split", True, True),
    ]:
        base = scores(tiny_base, engine, same, routing)
        moved = (scores(tiny_base, engine, other_query, routing) - base).abs()
        assert (moved > 1e-3).all() if query_counts else (moved == 0).all()
        moved = (scores(tiny_base, engine, other_document, routing) - base).abs()
        assert (moved > 1e-3).all() if document_counts else (moved == 0).all()


def test_split_gives_every_token_its_own_invertible_layer(tiny_base, tiny_zoo, engine, pairs):
    """With the layers' adapters taken out, only the embeddings can differ between languages."""
    from dataclasses import replace

    stripped = [replace(m, output={0: _zero(m.output[0])}) for m in engine.languages]
    encoder = RoutedEncoder(tiny_base.model, stripped)
    encoding = encode(tiny_base, pairs)
    sides = segments(encoding)
    first, second = torch.zeros(len(pairs)).long(), torch.ones(len(pairs)).long()
    split = encoder._couple(
        tiny_base.model.embeddings(encoding["input_ids"]),
        encoder._groups(encoding["input_ids"], module_index(sides, first, second, "split")),
    )
    for side, number in [(0, 0), (1, 1)]:
        whole = encoder._couple(
            tiny_base.model.embeddings(encoding["input_ids"]), [(stripped[number], None)]
        )
        torch.testing.assert_close(split[sides == side], whole[sides == side], **TOLERANCE)


def _zero(bottleneck):
    from dataclasses import replace

    weight, bias = bottleneck.up
    return replace(bottleneck, up=(torch.zeros_like(weight), torch.zeros_like(bias)))


@pytest.mark.parametrize("language", ["ky", "zh", None])
@pytest.mark.parametrize("ranking", ["squad", None])
def test_one_language_is_the_librarys_stack(
    tiny_base, tiny_folder, tiny_zoo, adapter_model, engine, pairs, language, ranking
):
    model = adapter_model(tiny_folder)
    zoo = tiny_zoo / tiny_base.name
    folders = {f"language/adapter/{language}": language, f"ranking/adapter/{ranking}": ranking}
    active = [
        model.load_adapter(str(zoo / folder), use_safetensors=True)
        for folder, name in folders.items()
        if name
    ]
    if active:
        model.active_adapters = Stack(*active)
    encoding = encode(tiny_base, pairs)
    number = LANGUAGES.index(language) if language else -1
    index = torch.full_like(encoding["input_ids"], number)
    if ranking is None:
        engine = RoutedEncoder(tiny_base.model, engine.languages)
    hidden = engine(**encoding, module_index=index)
    with torch.inference_mode():
        expected = model.base_model(**encoding).last_hidden_state
        torch.testing.assert_close(hidden, expected, **TOLERANCE)
        if ranking:
            logits = model(**encoding).logits.squeeze(-1)
            torch.testing.assert_close(score(hidden, engine.ranking.head), logits, **TOLERANCE)


@pytest.mark.parametrize(
    ("lower", "upper", "layers"),
    [
        ("double_seq_bn", "seq_bn", 2),
        ("seq_bn", "double_seq_bn", 1),
        ("double_seq_bn_inv", "double_seq_bn", 1),
    ],
)
def test_other_bottlenecks_are_the_librarys_too(
    tiny_base, tiny_folder, adapter_model, randomise, tmp_path, pairs, lower, upper, layers
):
    model = adapter_model(tiny_folder)
    modules = []
    for name, config in [("lower", lower), ("upper", upper)]:
        model.add_adapter(name, config=config)
        model.add_classification_head(name, num_labels=1, layers=layers)
        randomise(model, name)
        card = ModuleCard("ranking", "adapter", name, "en", "tiny", tiny_base.fingerprint)
        save_adapter_module(model, name, tmp_path / name, card, head=True)
        modules.append(load_adapter_module(tmp_path / name))
    model.active_adapters = Stack("lower", "upper")
    model.active_head = "upper"
    encoding = encode(tiny_base, pairs)
    encoder = RoutedEncoder(tiny_base.model, [modules[0]], modules[1])
    ours = encoder(**encoding, module_index=torch.zeros_like(encoding["input_ids"]))
    with torch.inference_mode():
        theirs = model(**encoding).logits.squeeze(-1)
    torch.testing.assert_close(score(ours, modules[1].head), theirs, **TOLERANCE)


def test_layers_left_out_run_without_adapter(
    tiny_base, tiny_folder, adapter_model, randomise, tmp_path, pairs
):
    from adapters import SeqBnInvConfig

    model = adapter_model(tiny_folder)
    model.add_adapter("ky", config=SeqBnInvConfig(leave_out=[2]), set_active=True)
    randomise(model, "ky")
    card = ModuleCard("language", "adapter", "ky", "ky", "tiny", tiny_base.fingerprint)
    save_adapter_module(model, "ky", tmp_path / "ky", card)
    module = load_adapter_module(tmp_path / "ky")
    assert set(module.output) == {0, 1}
    encoding = encode(tiny_base, pairs)
    ours = RoutedEncoder(tiny_base.model, [module])(
        **encoding, module_index=torch.zeros_like(encoding["input_ids"])
    )
    with torch.inference_mode():
        theirs = model.base_model(**encoding).last_hidden_state
    torch.testing.assert_close(ours, theirs, **TOLERANCE)


def test_padding_may_point_anywhere(tiny_base, engine, pairs):
    encoding = encode(tiny_base, pairs)
    index = torch.zeros_like(encoding["input_ids"])
    elsewhere = torch.where(encoding["attention_mask"] == 0, 5, index)
    first = score(engine(**encoding, module_index=index), engine.ranking.head)
    second = score(engine(**encoding, module_index=elsewhere), engine.ranking.head)
    torch.testing.assert_close(first, second, **TOLERANCE)


def test_none_in_the_languages_is_minus_one(tiny_base, engine, pairs):
    encoding = encode(tiny_base, pairs)
    with_gap = RoutedEncoder(tiny_base.model, [None, engine.languages[0]], engine.ranking)
    sides = segments(encoding)
    torch.testing.assert_close(
        with_gap(**encoding, module_index=sides),
        engine(**encoding, module_index=sides - 1),
        **TOLERANCE,
    )


def test_the_encoder_is_left_as_it_was(tiny_base, engine, pairs):
    encoding = encode(tiny_base, pairs)
    before = tiny_base.model(**encoding).last_hidden_state
    engine(**encoding, module_index=segments(encoding))
    assert torch.equal(tiny_base.model(**encoding).last_hidden_state, before)


def test_bf16_is_near_fp32_and_its_scores_are_fp32(tiny_folder, tiny_base, engine, pairs):
    from polyrank.base import load_base

    low = load_base(str(tiny_folder), dtype=torch.bfloat16)
    encoder = RoutedEncoder(low.model, engine.languages, engine.ranking)
    coarse, fine = (scores(tiny_base, e, pairs, "split") for e in (encoder, engine))
    assert coarse.dtype == torch.float32
    assert torch.corrcoef(torch.stack([coarse, fine]))[0, 1] > 0.99


@pytest.fixture(params=["pytorch", "triton"])
def grouped(request, monkeypatch):
    """grouped(): from here on all modules of a batch in one launch, as on a GPU."""
    from polyrank.encoders import routed
    from polyrank.kernels import routed_adapter

    if request.param == "triton":
        pytest.importorskip("triton")

    def switch_on():
        monkeypatch.setattr(routed, "use_triton", lambda tensor: True)
        monkeypatch.setattr(routed_adapter, "use_triton", lambda tensor: request.param == "triton")

    return switch_on


@pytest.mark.skipif(torch.cuda.is_available(), reason="test_cuda_is_cpu does it")
def test_one_launch_for_all_modules_is_the_loop_over_them(tiny_base, engine, pairs, grouped):
    pairs = [(q, d, 0, j) for q, d, _, j in pairs[:6]]
    loop = scores(tiny_base, engine, pairs, "split")
    grouped()
    encoding = encode(tiny_base, pairs)
    assert isinstance(engine._groups(encoding["input_ids"], segments(encoding)), Grouped)
    torch.testing.assert_close(scores(tiny_base, engine, pairs, "split"), loop, **TOLERANCE)
    engine.languages.append(engine.languages[0])  # as the reranker does when a language turns up
    later = [(q, d, 6, j) for q, d, _, j in pairs]
    torch.testing.assert_close(scores(tiny_base, engine, later, "split"), loop, **TOLERANCE)


def test_modules_that_one_launch_cannot_serve_take_the_loop(tiny_base, engine, pairs, grouped):
    from dataclasses import replace

    grouped()
    encoding = encode(tiny_base, pairs)
    for change in ({"activation": "tanh"}, {"original_ln_before": False}):
        other = [*engine.languages[:-1], replace(engine.languages[-1], **change)]
        encoder = RoutedEncoder(tiny_base.model, other)
        assert isinstance(encoder._groups(encoding["input_ids"], segments(encoding)), list)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cuda_is_cpu(tiny_folder, tiny_base, engine, pairs):
    from polyrank.base import load_base

    encoder = RoutedEncoder(
        load_base(str(tiny_folder)).model.cuda(), engine.languages, engine.ranking
    )
    encoding = encode(tiny_base, pairs).to("cuda")
    sides = segments(encoding).cuda()
    on_cuda = score(encoder(**encoding, module_index=sides), encoder.ranking.head).cpu()
    on_cpu = scores(tiny_base, engine, [(q, d, 0, 1) for q, d, *_ in pairs], "split")
    torch.testing.assert_close(on_cuda, on_cpu, rtol=0.0, atol=1e-4)


# --- segments and module indices -----------------------------------------------------------------


def test_segments_by_hand_bert(tiny_bert):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    encoding = tokenizer(["ab", "a"], ["c", "cde"], padding=True)
    # [CLS] a ##b [SEP] c [SEP] [PAD]  and  [CLS] a [SEP] c ##d ##e [SEP]
    assert segments(encoding).tolist() == [[0, 0, 0, 0, 1, 1, 1], [0, 0, 0, 1, 1, 1, 1]]


def test_segments_by_hand_xlmr(tiny_xlmr):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_xlmr)
    encoding = tokenizer(["ab", ""], ["c", "cde"], padding=True)
    # <s> ▁ a b </s> </s> ▁ c </s>  and, with an empty query,  <s> </s> </s> ▁ c d e </s> <pad>
    assert segments(encoding).tolist() == [[0] * 5 + [1] * 4, [0] * 2 + [1] * 7]


def test_segments_follow_truncation_and_left_padding(tiny_base):
    tokenizer = tiny_base.tokenizer
    truncated = tokenizer(["a" * 50], ["b" * 50], truncation="only_first", max_length=60)
    (length,) = query_lengths(truncated)
    assert tokenizer.convert_ids_to_tokens(truncated["input_ids"][0])[length - 1] in (
        "[SEP]",
        "</s>",
    )
    left = tokenizer(["a", "a a a"], ["b", "b"], padding=True, padding_side="left")
    right = tokenizer(["a", "a a a"], ["b", "b"], padding=True)
    for row in range(2):
        real = [torch.tensor(e["attention_mask"][row]) == 1 for e in (left, right)]
        sides = [segments(e)[row][mask] for e, mask in zip((left, right), real, strict=True)]
        assert torch.equal(*sides)


def test_module_index_by_hand():
    sides = torch.tensor([[0, 0, 1], [0, 1, 1]])
    query, document = torch.tensor([4, -1]), torch.tensor([2, 3])
    expected = {
        "none": [[-1, -1, -1], [-1, -1, -1]],
        "query": [[4, 4, 4], [-1, -1, -1]],
        "document": [[2, 2, 2], [3, 3, 3]],
        "split": [[4, 4, 2], [-1, 3, 3]],
    }
    for routing, index in expected.items():
        assert module_index(sides, query, document, routing).tolist() == index


def test_a_module_for_another_base_is_refused(tiny_base, engine):
    from dataclasses import replace

    deeper = replace(engine.languages[0], output={7: engine.languages[0].output[0]})
    with pytest.raises(ModuleError, match="at least 8 layers"):
        RoutedEncoder(tiny_base.model, [deeper])


def test_refusals(tiny_base, engine, pairs):
    encoding = encode(tiny_base, pairs)
    sides = segments(encoding)
    rows = torch.zeros(len(pairs)).long()
    with pytest.raises(CompositionError, match="split"):
        module_index(sides, rows, rows, "both")
    with pytest.raises(UsageError, match="document"):
        module_index(sides, rows, rows, "sideways")
    with pytest.raises(CompositionError, match="6 language modules"):
        engine(**encoding, module_index=sides + 5)
    with pytest.raises(CompositionError, match="one module index per token"):
        engine(**encoding, module_index=rows)
    with pytest.raises(UsageError, match="fast tokenizer"):
        segments({"input_ids": encoding["input_ids"]})
    with pytest.raises(ModuleError, match="no head"):
        score(torch.zeros(1, 2, 3), None)
    with pytest.raises(ModuleError, match="2 labels"):
        score(torch.zeros(1, 2, 3), Head(((torch.zeros(2, 3), None),)))
