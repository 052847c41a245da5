"""The built-in plugins come in by the same hooks as anybody's."""

from plastic.core.hookspecs import hookimpl
from plastic.core.intervention import PlasticityIntervention
from plastic.core.modifier import OptimizerModifier
from plastic.core.probe import Probe
from plastic.plugins.interventions.adaptive_rr import AdaptiveReplayRatio
from plastic.plugins.interventions.augmentation import Augmentation
from plastic.plugins.interventions.continual_backprop import ContinualBackprop
from plastic.plugins.interventions.crelu import ConcatenatedReLU
from plastic.plugins.interventions.dropout import Dropout
from plastic.plugins.interventions.fourier_features import FourierFeatures
from plastic.plugins.interventions.infer import InFeR
from plastic.plugins.interventions.l2_init import L2Init
from plastic.plugins.interventions.layer_norm import LayerNorm
from plastic.plugins.interventions.normalize_project import NormalizeProject
from plastic.plugins.interventions.optimizer_reset import OptimizerReset
from plastic.plugins.interventions.parseval import Parseval
from plastic.plugins.interventions.plasticity_injection import PlasticityInjection
from plastic.plugins.interventions.prune_dormant import PruneDormant
from plastic.plugins.interventions.rational import RationalActivation
from plastic.plugins.interventions.redo import ReDo
from plastic.plugins.interventions.regrama import ReGraMa
from plastic.plugins.interventions.reset import Reset
from plastic.plugins.interventions.shrink_perturb import ShrinkPerturb
from plastic.plugins.interventions.spectral_norm import SpectralNorm
from plastic.plugins.interventions.wider import Wider
from plastic.plugins.modifiers.clip_gradients import ClipGradients
from plastic.plugins.modifiers.hare_tortoise import HareTortoise
from plastic.plugins.modifiers.l2 import L2
from plastic.plugins.modifiers.muon import Muon
from plastic.plugins.modifiers.sam import SAM
from plastic.plugins.modifiers.swa import SWA
from plastic.plugins.modifiers.trac import TRAC
from plastic.plugins.probes.active_units import ActiveUnits
from plastic.plugins.probes.churn import Churn
from plastic.plugins.probes.distance_from_init import DistanceFromInit
from plastic.plugins.probes.dormant_units import DormantUnits
from plastic.plugins.probes.explained_variance import ExplainedVariance
from plastic.plugins.probes.feature_norm import FeatureNorm
from plastic.plugins.probes.feature_rank import FeatureRank
from plastic.plugins.probes.fisher import Fisher
from plastic.plugins.probes.gradient_norm import GradientNorm
from plastic.plugins.probes.hessian import Hessian
from plastic.plugins.probes.saturated_units import SaturatedUnits
from plastic.plugins.probes.trainability import Trainability
from plastic.plugins.probes.weight_norm import WeightNorm


@hookimpl
def plastic_modifiers() -> list[type[OptimizerModifier]]:
    """What changes steps, and what is kept of them."""
    return [SAM, SWA, L2, ClipGradients, HareTortoise, TRAC, Muon]


@hookimpl
def plastic_interventions() -> list[type[PlasticityIntervention]]:
    """What changes the network, and what turns the run's knobs."""
    return [
        LayerNorm,
        ConcatenatedReLU,
        Reset,
        ShrinkPerturb,
        PlasticityInjection,
        AdaptiveReplayRatio,
        Augmentation,
        ReDo,
        ReGraMa,
        ContinualBackprop,
        PruneDormant,
        L2Init,
        Dropout,
        SpectralNorm,
        RationalActivation,
        FourierFeatures,
        Wider,
        Parseval,
        NormalizeProject,
        InFeR,
        OptimizerReset,
    ]


@hookimpl
def plastic_probes() -> list[type[Probe]]:
    """Units, norms, ranks, curvature, and how readily the network learns and changes."""
    return [
        ActiveUnits,
        DormantUnits,
        SaturatedUnits,
        WeightNorm,
        DistanceFromInit,
        GradientNorm,
        FeatureNorm,
        FeatureRank,
        Fisher,
        Hessian,
        Trainability,
        Churn,
        ExplainedVariance,
    ]
