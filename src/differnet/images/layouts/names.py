"""What names of folders say: which hold good parts, defective ones, masks, images to learn from or to test with."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum

__all__ = [
    "Label",
    "Role",
    "Split",
    "is_kind_of_defect",
    "is_made_of_pictures",
    "is_mask_of",
    "is_negation",
    "is_of_another_sensor",
    "made_of",
    "read_role",
    "words_of",
]


class Label(Enum):
    """What a name says of the parts."""

    GOOD = "good"
    DEFECTIVE = "defective"


class Split(Enum):
    """What a name says images are for."""

    TRAIN = "train"
    TEST = "test"
    VALIDATION = "validation"


@dataclass(frozen=True)
class Role:
    """What a name says.

    Attributes:
        label: Of the parts; None if it says nothing, or both.
        split: What the images are for; None if it says nothing.
        is_mask: Whether it says that masks are there.
        is_neutral: Whether it says no more than that images are there.
        is_whole: Whether every word of the name says so; ``ok_front`` has one that does not.
    """

    label: Label | None = None
    split: Split | None = None
    is_mask: bool = False
    is_neutral: bool = False
    is_whole: bool = True

    @property
    def says_something(self) -> bool:
        """Whether it is more than a name of one's own."""
        return self.label is not None or self.split is not None or self.is_mask


def _plain(name: str) -> str:
    """Lower case, and without the accents of Latin letters."""
    letters = unicodedata.normalize("NFKC", name).casefold()
    decomposed = unicodedata.normalize("NFD", letters)
    if decomposed.isascii() or all(ord(each) < 0x370 for each in decomposed):  # up to combining accents
        letters = "".join(each for each in decomposed if not unicodedata.combining(each))
    return letters


def _words(text: str) -> frozenset[str]:
    return frozenset(_plain(word) for word in text.split())


_GOOD = _words(
    "good goods goodpart goodparts ok okay oks okey io ios iot iot normal normals pass passed passing healthy perfect "
    "flawless intact clean accept accepted acceptable conforming conform conforme conformes correct correcto correctos "
    "gut gute guter gutes gutteil gutteile fehlerfrei einwandfrei iO bueno buenos buena buenas bon bons bonne bonnes "
    "sain sains buono buoni buona buone bom bons boa boas goed goede dobry dobre dobra dobre godne bra hyva iyi saglam "
    "хороший хорошие годный годные годен норма 良品 良 合格 合格品 正常 正常品 优良 양품 정상 ปกติ"
)
_DEFECTIVE = _words(
    "bad bads badpart badparts ng nok ko nio nios defect defects defective defectives def defekt defekte defekter "
    "anomaly anomalies anomalous anomalie anomalien anomal anomala anomalo abnormal abnormals abnormality fail fails "
    "failed failing failure failures reject rejects rejected scrap scraps scrapped fault faults faulty flaw flaws "
    "flawed nonconforming nonconformity nonconforme noncompliant schlecht schlechte schlechter "
    "schlechtteil schlechtteile ausschuss fehler fehlerhaft malo malos mala malas defecto defectos defectuoso "
    "defectuosos defectuosa defectuosas rechazado rechazados mauvais mauvaise mauvaises defaut defauts defectueux "
    "rebut rebuts difetto difetti difettoso difettosi scarto scarti cattivo cattivi ruim ruins defeito defeitos "
    "defeituoso rejeitado fout slecht afkeur afgekeurd zly zle wada wady wadliwy wadliwe brak braki defekty vadny "
    "vadne dalig daligt viallinen kotu hatali kusurlu брак дефект дефекты дефектный плохой плохие "
    "不良 不良品 不合格 不合格品 異常 異常品 异常 缺陷 缺陷品 欠陥 欠陥品 次品 残次品 불량 불량품 비정상 이상"
)
_MASKS = _words(
    "mask masks maske masken groundtruth groundtruths mascara mascaras masque masques maschera maschere maska maski "
    "マスク 掩码 掩膜 遮罩 마스크 маска маски"
)
# Said of a whole name only: products have such words in their names.
_WHOLE_MASKS = _words("gt gts label labels seg segs segmentation segmentations annotation annotations annot truth")
_TRAIN = _words("train trains training trainings trainset traindata learn learning entrenamiento lernen 訓練 训练 학습")
_TEST = _words("test tests testing testset testdata eval evaluation prueba pruebas テスト 测试 測試 테스트")
_VALIDATION = _words("val valid validation validierung 検証 验证")
_NEUTRAL = _words(
    "image images img imgs picture pictures pics photo photos foto fotos bild bilder data rgb raw jpegimages frames "
    "画像 图像 图片 이미지"
)
# Beside a picture of the same name, no picture: MVTec 3D-AD has rgb/000.png and xyz/000.tiff.
_SENSORS = _words(
    "xyz depth depths tiefe tiefen pointcloud pointclouds pcd normalmap normalmaps disparity height heights"
)
# What programs make of pictures, this one among them.
_MADE = _words(
    "heat heatmap heatmaps map maps overlay overlays thumb thumbs thumbnail thumbnails preview previews "
    "explanation explanations explained visualization visualizations visualisation visualisations vis "
    "vorschau vorschaubilder miniaturen waermebild waermebilder warmebild warmebilder"
)
# Kinds of defects, by which names of files tell images apart; words that are as often names of parts are not here.
_KINDS = _words(
    "scratch scratches scratched crack cracks cracked crazing dent dents dented pitted pitting inclusion inclusions "
    "patches rust rusty corrosion corroded stain stains stained contamination contaminated broken burr burrs chipped "
    "chipping blowhole blowholes porosity porosities delamination blister blisters missing misaligned misplaced bent "
    "torn tear fray frayed uneven spur mousebite damage damaged deformed deformation breakage fracture discoloration "
    "kratzer riss risse delle dellen beule beulen lunker einschluss einschlusse fleck flecken rost bruch gebrochen "
    "verschmutzt verschmutzung verschmutzungen beschadigt beschadigung verbogen fehlend grat pore poren "
    "rayure rayures fissure fissures bosse bosses tache taches rouille casse arañazo arañazos grieta grietas "
    "abolladura mancha manchas roto graffio graffi crepa crepe ammaccatura macchia macchie risco riscos trinca trincas "
    "kras krassen scheur deuk rysa rysy pekniecie "
    "царапина царапины трещина трещины вмятина 划痕 裂纹 凹痕 污渍 夹杂 麻点 斑块 傷 ひび "
    "割れ 汚れ 欠け 스크래치 크랙 찍힘 오염"
)
# What may stand beside the word for a split: others make it a name, such as test_bench.
_BESIDE_SPLIT = _NEUTRAL | _words("set sets public private mixed part parts teil teile samples daten all")
_SPLITS = ((Split.TRAIN, _TRAIN), (Split.TEST, _TEST), (Split.VALIDATION, _VALIDATION))
_NOT = _words("not no non nicht n kein keine nie 不 非")
_WITHOUT = _words("without ohne free sans sin senza frei")
_KNOWN = _GOOD | _DEFECTIVE | _TRAIN | _TEST | _VALIDATION | _BESIDE_SPLIT | _NOT | _WITHOUT

_TOKEN = re.compile(r"[^\W\d_]+")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_MASK_SUFFIX = re.compile(
    r"^(?P<stem>.+?)[ _.-]+(?:mask|masks|maske|gt|label|labels|ground[ _-]?truth|seg|segmentation|annotation)$", re.I
)
_MADE_SUFFIX = re.compile(
    r"^(?P<stem>.+?)[ _.-]+(?:heat[ _-]?maps?|overlay|thumb|thumbnail|preview|explained|explanation|anomaly[ _-]?map)$",
    re.I,
)


def read_role(name: str) -> Role:
    """Read what a folder's name says, whatever its case, in several languages.

    Args:
        name: Of a folder, without those above it: ``OK``, ``n.i.O.``, ``test_good``, ``不良品``.
    """
    tokens = _tokens(name)
    whole = "".join(tokens)
    if whole in _WHOLE_MASKS or whole in _MASKS or any(token in _MASKS for token in tokens):
        return Role(is_mask=True, is_whole=whole in _WHOLE_MASKS | _MASKS)
    label = _label(tokens, whole)
    split = next((kind for kind, words in _SPLITS if _is_split(tokens, whole, words)), None)
    is_whole = whole in _GOOD | _DEFECTIVE or all(token in _KNOWN for token in tokens)
    return Role(label, split, is_neutral=bool(tokens) and all(token in _NEUTRAL for token in tokens), is_whole=is_whole)


def is_mask_of(stem: str) -> str | None:
    """The stem of the image whose mask a file is by its name, such as ``000`` for ``000_mask``; None if it is none."""
    found = _MASK_SUFFIX.match(stem)
    return None if found is None else found["stem"]


def made_of(stem: str) -> str | None:
    """The stem of the picture that a file was made of by its name, such as ``000`` for ``000_heatmap``, or None."""
    found = _MADE_SUFFIX.match(stem)
    return None if found is None else found["stem"]


def is_made_of_pictures(name: str) -> bool:
    """Whether a folder's name says that heat maps, thumbnails and the like are there: ``heatmaps``, ``NG_overlay``."""
    tokens = {*_tokens(name)}
    return bool(tokens & _MADE) and tokens <= _MADE | _KNOWN


def is_kind_of_defect(word: str) -> bool:
    """Whether a word of `words_of` names a kind of defect: ``scratch``, ``riss``."""
    return _says(word, _KINDS)


def is_negation(word: str) -> bool:
    """Whether a word of `words_of` denies another: ``no``, ``without``, ``ohne``."""
    return word in _NOT or word in _WITHOUT


def words_of(name: str) -> frozenset[str]:
    """The words of a name, as they are compared: lower case, without accents and numbers."""
    return frozenset(_tokens(name))


def is_of_another_sensor(name: str) -> bool:
    """Whether a folder's name says that depths and the like are there, which show the parts of pictures beside them."""
    return "".join(_tokens(name)) in _SENSORS


def _tokens(name: str) -> list[str]:
    """The words of a name; letters with dots between them, as in ``i.O.``, are one word."""
    words = [_plain(word) for part in _CAMEL.split(name) for word in _TOKEN.findall(part)]
    joined: list[str] = []
    letters = ""
    for word in words:
        if len(word) == 1 and word.isascii():
            letters += word
            continue
        if letters:
            joined.append(letters)
            letters = ""
        joined.append(word)
    return [*joined, letters] if letters else joined


def _is_split(tokens: list[str], whole: str, words: frozenset[str]) -> bool:
    if whole in words:
        return True
    others = [token for token in tokens if token not in words]
    return len(others) < len(tokens) and all(token in _KNOWN for token in others)


def _label(tokens: list[str], whole: str) -> Label | None:
    if whole in _GOOD:
        return Label.GOOD
    if whole in _DEFECTIVE:
        return Label.DEFECTIVE
    good = any(_says(token, _GOOD) and not _says(token, _DEFECTIVE) for token in tokens)
    defective = any(_says(token, _DEFECTIVE) for token in tokens)
    if good == defective:
        return None
    negated = any(token in _NOT for token in tokens)
    if good:
        return Label.DEFECTIVE if negated else Label.GOOD
    return Label.GOOD if negated or any(token in _WITHOUT for token in tokens) else Label.DEFECTIVE


def _says(token: str, words: frozenset[str]) -> bool:
    if token in words:
        return True
    # Scripts that set no spaces between words.
    return not token.isascii() and any(not word.isascii() and len(word) > 1 and word in token for word in words)
