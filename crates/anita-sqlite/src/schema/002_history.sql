-- Short numbers for device ids. A device that was removed and comes back gets a new one. `fixes` and `bytes` are those
-- of its blocks.
CREATE TABLE device_no (
    no    INTEGER PRIMARY KEY AUTOINCREMENT,
    id    TEXT NOT NULL UNIQUE,
    fixes INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0
) STRICT;

-- Short numbers for where a fix comes from.
CREATE TABLE origin (
    no     INTEGER PRIMARY KEY,
    site   TEXT NOT NULL,
    source TEXT NOT NULL,
    UNIQUE (site, source)
) STRICT;

-- What just came: one row a commit, until its fixes are in blocks.
CREATE TABLE journal (
    id   INTEGER PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;

-- How far packing is, at most one row: of the journal up to `journal`, the fixes of devices before `device`, and of that
-- one those up to the key, are in blocks.
CREATE TABLE packing (
    only          INTEGER PRIMARY KEY CHECK (only = 1),
    journal       INTEGER NOT NULL,
    device        INTEGER NOT NULL,
    taken_us      INTEGER NOT NULL,
    discriminator INTEGER NOT NULL
) STRICT;

-- The past, packed. Blocks of a device never overlap in time, and fixes of the same time are in the same block.
CREATE TABLE block (
    id       INTEGER PRIMARY KEY,
    device   INTEGER NOT NULL,
    first_us INTEGER NOT NULL,
    last_us  INTEGER NOT NULL,
    fixes    INTEGER NOT NULL,
    tier     INTEGER NOT NULL,
    min_x_mm INTEGER NOT NULL,
    max_x_mm INTEGER NOT NULL,
    min_y_mm INTEGER NOT NULL,
    max_y_mm INTEGER NOT NULL,
    body     BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX block_by_device ON block (device, first_us);
CREATE INDEX block_by_start ON block (tier, first_us);
CREATE INDEX block_by_end ON block (tier, last_us);

-- Blocks that could not be read: kept for whoever wants to look, and in nobody's way.
CREATE TABLE damaged_block (
    id       INTEGER PRIMARY KEY,
    device   INTEGER NOT NULL,
    first_us INTEGER NOT NULL,
    last_us  INTEGER NOT NULL,
    fixes    INTEGER NOT NULL,
    body     BLOB NOT NULL
) STRICT;

-- Numbers of removed devices whose blocks are still to be deleted.
CREATE TABLE orphan (
    no INTEGER PRIMARY KEY
) STRICT;

-- What was last heard of a device; with its newest fix, which outlives the history.
CREATE TABLE device_state (
    id              TEXT PRIMARY KEY,
    status          TEXT NOT NULL CHECK (status IN ('connected', 'stale', 'disconnected')),
    last_seen_us    INTEGER,
    battery_percent REAL,
    taken_us        INTEGER,
    received_us     INTEGER,
    site            TEXT,
    source          TEXT,
    x_mm            INTEGER,
    y_mm            INTEGER,
    z_mm            INTEGER,
    accuracy_mm     INTEGER,
    floor           REAL,
    fix_battery_percent REAL,
    sequence        INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE event (
    ordinal INTEGER PRIMARY KEY,
    room    TEXT NOT NULL,
    epoch   TEXT NOT NULL,
    seq     INTEGER NOT NULL,
    at_us   INTEGER NOT NULL,
    sender  TEXT,
    devices TEXT NOT NULL,
    message TEXT NOT NULL
) STRICT;
CREATE INDEX event_by_room ON event (room, ordinal);

-- Where the numbering of each room is; it outlives the events.
CREATE TABLE room (
    name    TEXT PRIMARY KEY,
    epoch   TEXT NOT NULL,
    seq     INTEGER NOT NULL,
    ordinal INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    ordinal INTEGER PRIMARY KEY AUTOINCREMENT,
    at_us   INTEGER NOT NULL,
    subject TEXT NOT NULL,
    action  TEXT NOT NULL,
    object  TEXT NOT NULL,
    outcome TEXT NOT NULL,
    address TEXT
) STRICT;
CREATE INDEX audit_by_subject ON audit (subject, ordinal);

-- How much there is of each kind, kept in the same transactions.
CREATE TABLE tally (
    kind  TEXT PRIMARY KEY,
    count INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO tally (kind, count, bytes) VALUES ('fixes', 0, 0), ('events', 0, 0), ('audit', 0, 0);
