-- The audit trail is a chain: each entry has its number, the hash of the one before it and its own. Entries from before
-- have none of these.
ALTER TABLE audit ADD COLUMN issuer TEXT;
ALTER TABLE audit ADD COLUMN seq INTEGER;
ALTER TABLE audit ADD COLUMN previous BLOB;
ALTER TABLE audit ADD COLUMN hash BLOB;
CREATE UNIQUE INDEX audit_by_seq ON audit (seq) WHERE seq IS NOT NULL;

-- Tokens that are not accepted any more: one (`token`), those of a subject (`subject`; issued before a moment, or all), or
-- everybody's that were issued before a moment (`everybody`).
CREATE TABLE revocation (
    id               TEXT PRIMARY KEY,
    kind             TEXT NOT NULL CHECK (kind IN ('token', 'subject', 'everybody')),
    value            TEXT NOT NULL,
    issued_before_us INTEGER,
    issuer           TEXT,
    made_us          INTEGER NOT NULL,
    until_us         INTEGER,
    made_by          TEXT NOT NULL,
    reason           TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX revocation_by_until ON revocation (until_us) WHERE until_us IS NOT NULL;
