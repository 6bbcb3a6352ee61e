"""GraphQL operations on observations."""

from tests.support.world import REFUSED

ONE = """
query One($id: ID!) {
  observation(id: $id) {
    id receivedAt placement revision mediaExpected mediaArrived deviceSequence
    complainant { name contact isAnonymous }
    content {
      method category severity text capturedAt capturedOffsetMinutes staffSeen claimedUnit
      claimedMonitoringPoint
      position {
        latitude longitude originalLatitude originalLongitude originalDatum accuracyMetres altitudeMetres isMock source
        fixedAt problem
      }
      media { id state sha256 byteSize contentType kind }
    }
    revisions { number id reason content { text } }
    unit { code ancestors { code } parent { code } } monitoringPoint { code enterprise } author { id } followUps { state }
    receipt { contentSha256 receivedAt observationId }
  }
}"""

REVISE = f"""
mutation Revise($input: ReviseObservationInput!) {{
  reviseObservation(input: $input) {{
    ... on ReviseObservationPayload {{
      observation {{ id revision content {{ text media {{ id }} }} revisions {{ number content {{ text }} }} }}
      uploads {{ mediaId }}
    }}
    {REFUSED}
  }}
}}"""
