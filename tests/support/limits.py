"""Set limits of steps of cases."""

LIMIT_FIELDS = "id step category amount timeUnit longest remindBefore openingHours { opens closes } unit { code }"
SET_LIMIT = f"""
mutation SetLimit($input: SetLimitInput!) {{
  setLimit(input: $input) {{
    ... on LimitPayload {{ limit {{ {LIMIT_FIELDS} setBy {{ id }} }} }}
    ... on Refused {{ code field }}
  }}
}}
"""
