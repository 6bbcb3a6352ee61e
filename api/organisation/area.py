"""Register the operations on units and monitoring points."""

from api.organisation import monitoring_points, units
from api.registration import merge

AREA = merge([monitoring_points.REGISTRATION, units.REGISTRATION])
