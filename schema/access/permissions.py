"""Permits: the one table that says who may call or read what; a test fails for a field of the SDL that has no row.

Which *records* a viewer finds is not decided here: scope and clearance stand in the filters of `storage`. The field
extensions that hold to this table are in `guards.py`.
"""

from dataclasses import dataclass

from schema.access.viewers import Clearance, Role, Viewer


@dataclass(frozen=True)
class Permit:
    """Who passes: everybody, or the signed-in with one of `roles`, and with the clearance where one is named."""

    roles: frozenset[Role] = frozenset(Role)
    public: bool = False
    clearance: Clearance | None = None

    def admits(self, viewer: Viewer | None) -> bool:
        if self.public:
            return True
        if viewer is None or viewer.roles.isdisjoint(self.roles):
            return False
        return self.clearance is None or self.clearance in viewer.clearances


def only(*roles: Role) -> Permit:
    return Permit(roles=frozenset(roles))


PUBLIC = Permit(public=True)
SIGNED_IN = Permit()
SEEN = Permit(public=True)
"""Whoever was shown the record may read the field."""
CLEARED = Permit(clearance=Clearance.IDENTITY)
"""The record's author, and those with the clearance in whose scope the record's office lies."""

_R = Role
AUTHORS = only(_R.INSPECTOR, _R.MONITOR, _R.OFFICER)
READERS = only(_R.INSPECTOR, _R.MONITOR, _R.SUPERVISOR, _R.OFFICER)
FOLLOWERS = only(_R.INSPECTOR, _R.SUPERVISOR, _R.OFFICER)
OFFICERS = only(_R.OFFICER)
ADMINS = only(_R.ADMIN)
EXAMINERS = only(_R.SUPERVISOR, _R.OFFICER)
"""Who may know what doesn't fit about an observation; its author never, who would learn what is seen and what is not."""
APPRAISERS = only(_R.SUPERVISOR, _R.OFFICER)
"""Who may know what a unit comes to; the unit itself and its raters not."""

OUTBOX = frozenset(
    f"Mutation.{name}"
    for name in (
        "signIn",
        "refreshSession",
        "submitObservations",
        "requestUploads",
        "confirmMedia",
        "submitRatings",
        "answerAssignments",
        "editAssignmentNotes",
    )
)
"""What phones of every level may do for ever: an app that is too old must still give up what it holds."""

_ROWS: tuple[tuple[str, Permit, str], ...] = (
    ("Query", SIGNED_IN, "me node unit units clockReadings changes catalogue"),
    ("Query", READERS, "observation observations redaction"),
    ("Query", FOLLOWERS, "case cases assignments heldOperations"),
    ("Query", only(_R.INSPECTOR, _R.MONITOR, _R.SUPERVISOR, _R.OFFICER, _R.ADMIN), "monitoringPoints"),
    ("Query", only(_R.SUPERVISOR, _R.OFFICER, _R.ADMIN), "users"),
    ("Query", EXAMINERS, "flags thresholds"),
    ("Query", only(_R.MONITOR, _R.SUPERVISOR, _R.OFFICER), "ratings"),
    ("Query", OFFICERS, "redactions"),
    ("Query", ADMINS, "webhooks webhookDeliveries"),
    ("Mutation", ADMINS, "registerWebhook rotateWebhookSecret enableWebhook removeWebhook"),
    ("Mutation", PUBLIC, "signIn refreshSession"),
    ("Mutation", SIGNED_IN, "signOut revokeDevice changePassword registerPushToken forgetPushToken"),
    ("Mutation", ADMINS, "wipeDevices"),
    ("Mutation", SIGNED_IN, "sync"),
    ("Mutation", AUTHORS, "submitObservations reviseObservation requestUploads abortUploads confirmMedia"),
    ("Mutation", only(_R.MONITOR), "submitRatings"),
    ("Mutation", OFFICERS, "openCase linkObservations unlinkObservations moveCase assign withdrawAssignment"),
    ("Mutation", OFFICERS, "reviewFlag setThreshold"),
    ("Mutation", OFFICERS, "requestRedaction correctRedaction approveRedaction rejectRedaction"),
    ("Mutation", FOLLOWERS, "acceptAssignment finishAssignment answerAssignments editAssignmentNotes"),
    ("Mutation", only(_R.SUPERVISOR, _R.OFFICER), "handOnAssignment"),
    ("Subscription", FOLLOWERS, "assignmentChanged caseChanged"),
    ("AbortResult", SEEN, "mediaId media refusal"),
    ("AbortUploadsPayload", SEEN, "results"),
    ("AnswerAssignmentsPayload", SEEN, "results"),
    ("AnswerResult", SEEN, "id outcome assignment refusal"),
    ("HeldOperation", SEEN, "id operation heldSince heldUntil waitsFor refusal"),
    ("Assignment", SEEN, "id kind state note dueOn offeredAt acceptedAt endedAt result assignee offeredBy case unit"),
    ("Assignment", SEEN, "notes"),
    ("AssignmentNote", SEEN, "field value version editId editedAt lostEdits"),
    ("LostEdit", SEEN, "id value editedAt"),
    ("EditAssignmentNotesPayload", SEEN, "results"),
    ("NoteEditResult", SEEN, "id outcome assignment refusal"),
    ("AssignmentChanged", SEEN, "cursor assignment"),
    ("AssignmentConnection", SEEN, "edges pageInfo"),
    ("AssignmentEdge", SEEN, "cursor node"),
    ("AssignmentPayload", SEEN, "assignment case"),
    (
        "Case",
        SEEN,
        "id number year sequence title summary category state openedAt closedAt outcome reply history office",
    ),
    ("Case", SEEN, "unit monitoringPoint firstResponder responsible observations assignments relatedCases pack"),
    ("CaseChanged", SEEN, "cursor case"),
    ("CaseConnection", SEEN, "edges pageInfo"),
    ("CaseEdge", SEEN, "cursor node"),
    ("CaseEvent", SEEN, "id kind at state note by"),
    ("CasePayload", SEEN, "case"),
    ("Change", SEEN, "kind id record"),
    ("ChangePage", SEEN, "changes cursor hasMore asOf"),
    ("CatalogueEntry", SEEN, "id kind code name validFrom validTo score service fee office"),
    ("CatalogueEntryConnection", SEEN, "edges pageInfo"),
    ("CatalogueEntryEdge", SEEN, "cursor node"),
    ("ClockReading", SEEN, "readAt deviceAt deviceOffsetMinutes skewSeconds uncertaintySeconds"),
    ("ClockReadingConnection", SEEN, "edges pageInfo"),
    ("ClockReadingEdge", SEEN, "cursor node"),
    ("Complainant", CLEARED, "name contact isAnonymous"),
    ("ChangePasswordPayload", SEEN, "devices"),
    ("ConfirmMediaPayload", SEEN, "results"),
    ("ConfirmResult", SEEN, "mediaId media refusal"),
    ("Device", SEEN, "id name signedInAt seenAt revokedAt wipeOrderedAt"),
    ("DraftResult", SEEN, "id outcome receipt observation uploads refusal"),
    ("FeeTerms", SEEN, "standard legalBasis"),
    ("Flag", SEEN, "id code value threshold measure message messageZh raisedAt state verdict reviews observation"),
    ("Flag", SEEN, "medium otherObservation otherMedium"),
    ("FlagConnection", SEEN, "edges pageInfo"),
    ("FlagEdge", SEEN, "cursor node"),
    ("FlagPayload", SEEN, "flag"),
    ("FlagReview", SEEN, "id verdict note at by"),
    ("FollowUp", SEEN, "caseNumber state outcome reply closedAt"),
    ("FormField", SEEN, "name value"),
    ("FormerName", SEEN, "name code until"),
    ("GeoPoint", SEEN, "latitude longitude originalLatitude originalLongitude originalDatum accuracyMetres"),
    ("GeoPoint", SEEN, "altitudeMetres originalAltitudeMetres source isMock fixedAt datum problem"),
    ("Link", SEEN, "url expiresAt contentType width height"),
    ("Me", SEEN, "user userName clearances devices thisDeviceId"),
    ("Media", SEEN, "id kind state rejection sha256 byteSize contentType capturedAt expectedAt uploadedAt readyAt"),
    ("Media", SEEN, "facts link when observation redactions"),
    ("Media", CLEARED, "device"),
    ("MonitoringPoint", SEEN, "id code enterprise industry address position unit monitors"),
    ("MonitoringPointConnection", SEEN, "edges pageInfo"),
    ("MonitoringPointEdge", SEEN, "cursor node"),
    ("Observation", SEEN, "id content receivedAt placement revision revisions unit monitoringPoint author"),
    ("Observation", SEEN, "assignment cases followUps when mediaExpected mediaArrived pack"),
    ("Observation", CLEARED, "complainant deviceSequence clockSkewSeconds receipt"),
    ("Observation", EXAMINERS, "flags"),
    ("ObservationConnection", SEEN, "edges pageInfo"),
    ("ObservationContent", SEEN, "method category severity text capturedAt capturedOffsetMinutes position staffSeen"),
    ("ObservationContent", SEEN, "claimedUnit claimedMonitoringPoint media"),
    ("ObservationEdge", SEEN, "cursor node"),
    ("ObservationRevision", SEEN, "number id recordedAt reason content"),
    ("PackLink", SEEN, "url expiresAt"),
    ("PageInfo", SEEN, "hasNextPage hasPreviousPage startCursor endCursor"),
    ("MediaFacts", SEEN, "contentType width height orientation rotation displayWidth displayHeight takenAtLocal"),
    ("MediaFacts", SEEN, "takenOffsetMinutes takenAt createdAt position positionAbsent statedLatitude statedLongitude"),
    ("MediaFacts", SEEN, "durationMs pageCount isEncrypted motionVideo damage"),
    ("MotionVideo", SEEN, "offset byteSize"),
    ("Receipt", SEEN, "observationId contentSha256 receivedAt signed"),
    ("Rating", SEEN, "id month score grade reason isLate revision unit counts"),
    ("Rating", CLEARED, "rater monitoringPoint receivedAt receipt"),
    ("RatingConnection", SEEN, "edges pageInfo"),
    ("RatingEdge", SEEN, "cursor node"),
    ("RatingReceipt", SEEN, "ratingId contentSha256 receivedAt"),
    ("RatingResult", SEEN, "id outcome receipt rating refusal"),
    ("PushTokenForgotten", SEEN, "deviceId"),
    ("PushTokenRegistered", SEEN, "deviceId service registeredAt"),
    ("Receipt", SEEN, "observationId contentSha256 receivedAt"),
    ("RecordLost", SEEN, "cursor id"),
    ("Redaction", SEEN, "id state purpose faceDetection faces boxes revision rendering failure requestedAt history"),
    ("Redaction", SEEN, "media requestedBy decidedBy link"),
    ("RedactionBox", SEEN, "left top right bottom origin confidence"),
    ("RedactionConnection", SEEN, "edges pageInfo"),
    ("RedactionEdge", SEEN, "cursor node"),
    ("RedactionEvent", SEEN, "id kind at revision boxCount sha256 note by"),
    ("RedactionPayload", SEEN, "redaction"),
    ("RedactionRendering", SEEN, "revision sha256 byteSize width height renderedAt"),
    ("Refused", SEEN, "code message messageZh nextStep field proof"),
    ("RequestUploadsPayload", SEEN, "results"),
    ("Resync", SEEN, "cursor reason"),
    ("ReviseObservationPayload", SEEN, "observation uploads"),
    ("RevokeDevicePayload", SEEN, "device"),
    ("SequenceGap", SEEN, "first last"),
    ("ServiceTerms", SEEN, "statutoryDays promisedDays documents steps unit"),
    ("ShownTime", SEEN, "at local offsetMinutes source reason message messageZh"),
    ("SignedIn", SEEN, "accessToken accessExpiresAt refreshToken refreshExpiresAt user deviceSecret"),
    ("SignedOut", SEEN, "deviceId"),
    ("StreamEnded", SEEN, "reason"),
    ("StreamPosition", SEEN, "cursor"),
    ("SubmitObservationsPayload", SEEN, "results"),
    ("SubmitRatingsPayload", SEEN, "results"),
    ("Threshold", SEEN, "id kind value validFrom setAt note measure unit setBy"),
    ("ThresholdPayload", SEEN, "threshold"),
    ("Thresholds", SEEN, "applying settings"),
    ("SyncPayload", SEEN, "serverTime clock gaps changes"),
    ("Unit", SEEN, "id code name level formerNames position parent ancestors"),
    ("Unit", APPRAISERS, "monthlyScore"),
    ("UnitConnection", SEEN, "edges pageInfo"),
    ("UnitEdge", SEEN, "cursor node"),
    ("UploadHeader", SEEN, "name value"),
    ("UploadPart", SEEN, "number offset byteSize url headers hasArrived"),
    ("UploadResult", SEEN, "mediaId slot hasArrived refusal"),
    ("UploadSlot", SEEN, "mediaId kind url headers fields parts expiresAt"),
    ("User", SEEN, "id displayName roles office scopes"),
    ("UserConnection", SEEN, "edges pageInfo"),
    ("UserEdge", SEEN, "cursor node"),
    ("Webhook", SEEN, "id url state registeredAt disabledReason"),
    ("WebhookDelivery", SEEN, "id kind recordId recordState changedAt state attempts failure deliveredAt"),
    ("WebhookDeliveryConnection", SEEN, "edges pageInfo"),
    ("WebhookDeliveryEdge", SEEN, "cursor node"),
    ("WebhookPayload", SEEN, "webhook secret"),
    ("WebhookRemoved", SEEN, "id"),
    ("WipeDevicesPayload", SEEN, "user devices lastSeenAt"),
)

PERMITS: dict[str, Permit] = {f"{owner}.{field}": permit for owner, permit, names in _ROWS for field in names.split()}
"""`Type.field` of the SDL -> who passes."""
