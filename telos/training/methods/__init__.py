"""Methods of learning a representation: what stands against its collapse, each in a file of its own."""

from telos.training.methods.barlow import BarlowTwins
from telos.training.methods.byol import BYOL
from telos.training.methods.dino import DINO
from telos.training.methods.info_nce import InfoNCE
from telos.training.methods.method import Criterion, Head, Seen
from telos.training.methods.mmcr import MMCR
from telos.training.methods.pixels import MaskedAutoencoding, NextFrame, Reconstruction
from telos.training.methods.sigreg import SIGReg
from telos.training.methods.variance_covariance import VarianceCovariance
from telos.training.methods.vicreg import VICReg
from telos.training.methods.vjepa import VJEPA
from telos.training.methods.whitening import WMSE

Method = (
    VarianceCovariance
    | VICReg
    | BarlowTwins
    | MMCR
    | WMSE
    | SIGReg
    | BYOL
    | VJEPA
    | DINO
    | InfoNCE
    | Reconstruction
    | NextFrame
    | MaskedAutoencoding
)
"""The settings of every method."""

__all__ = [
    "BYOL",
    "DINO",
    "MMCR",
    "VJEPA",
    "WMSE",
    "BarlowTwins",
    "Criterion",
    "Head",
    "InfoNCE",
    "MaskedAutoencoding",
    "Method",
    "NextFrame",
    "Reconstruction",
    "SIGReg",
    "Seen",
    "VICReg",
    "VarianceCovariance",
]
