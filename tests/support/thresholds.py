"""Set thresholds."""

from tests.support.world import REFUSED

THRESHOLD = "id kind value measure validFrom setAt note unit { code } setBy { id }"
SET = f"""
mutation Set($input: SetThresholdInput!) {{
  setThreshold(input: $input) {{ ... on ThresholdPayload {{ threshold {{ {THRESHOLD} }} }} {REFUSED} }}
}}"""
