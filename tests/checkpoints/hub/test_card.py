from __future__ import annotations

import math

import msgspec
import yaml
from results import result_of_counts

from pixelwise.checkpoints.hub.card import Subject, card_of
from pixelwise.recipes.files import find
from pixelwise.records.data_facts import DataFacts
from pixelwise.records.environment import Ancestor, Licence
