"""Create the tables of the phone's database, and update an older database without losing anything."""

LEVEL = 3
_FIRST = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE observations (
  id TEXT PRIMARY KEY, sequence INTEGER NOT NULL UNIQUE, draft TEXT NOT NULL, state TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0, receipt TEXT, refusal TEXT, trouble TEXT, forgotten INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE media (
  id TEXT PRIMARY KEY, observation_id TEXT NOT NULL REFERENCES observations ON DELETE CASCADE, place INTEGER NOT NULL,
  file TEXT NOT NULL, name TEXT NOT NULL, sha256 TEXT NOT NULL, byte_size INTEGER NOT NULL, content_type TEXT NOT NULL,
  state TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, rejections INTEGER NOT NULL DEFAULT 0,
  refusal TEXT, trouble TEXT
);
CREATE INDEX media_of ON media (observation_id, place);
CREATE INDEX media_by_digest ON media (sha256);
CREATE TABLE parts (
  medium_id TEXT NOT NULL REFERENCES media ON DELETE CASCADE, number INTEGER NOT NULL, start INTEGER NOT NULL,
  byte_size INTEGER NOT NULL, arrived INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (medium_id, number)
);
"""
# A phone of level 1 did not record discarded numbers: they are the missing ones.
_SECOND = """
CREATE TABLE discarded (sequence INTEGER PRIMARY KEY);
INSERT INTO discarded
  WITH RECURSIVE numbers (each) AS (
    SELECT 1 UNION ALL SELECT each + 1 FROM numbers
    WHERE each < (SELECT CAST(value AS INTEGER) FROM facts WHERE name = 'last_sequence')
  )
  SELECT each FROM numbers
  WHERE each <= (SELECT CAST(value AS INTEGER) FROM facts WHERE name = 'last_sequence')
    AND each NOT IN (SELECT sequence FROM observations);
CREATE TABLE records (
  kind TEXT NOT NULL, id TEXT NOT NULL, content TEXT NOT NULL, round INTEGER NOT NULL, PRIMARY KEY (kind, id)
);
"""
_THIRD = """
CREATE TABLE draft_edits (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,
  observation_id TEXT NOT NULL REFERENCES observations ON DELETE CASCADE, field TEXT NOT NULL, value TEXT NOT NULL,
  seen INTEGER NOT NULL, edited_at TEXT NOT NULL, restores TEXT
);
CREATE INDEX draft_edits_of ON draft_edits (observation_id, number);
"""


def statements(level: int) -> list[str]:
    """Return the statements that bring a database from `level` to `LEVEL`; 0 is a new database."""
    scripts = [_FIRST, _SECOND, _THIRD][level:]
    return [statement for script in scripts for statement in script.split(";")]
