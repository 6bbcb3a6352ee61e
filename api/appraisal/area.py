"""Register the area of appraisal, which has only ratings."""

from api.appraisal import ratings
from api.registration import merge

AREA = merge([ratings.REGISTRATION])
