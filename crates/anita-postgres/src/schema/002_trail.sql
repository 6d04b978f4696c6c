-- The audit trail is a chain: each entry has its number, the hash of the one before it and its own (SHA-256, see
-- OPERATIONS.md). Entries from before have none of these.
ALTER TABLE audit ADD COLUMN issuer text COLLATE "C";
ALTER TABLE audit ADD COLUMN seq bigint;
ALTER TABLE audit ADD COLUMN previous bytea;
ALTER TABLE audit ADD COLUMN hash bytea;
CREATE UNIQUE INDEX audit_of_seq ON audit (seq) WHERE seq IS NOT NULL;

-- Tokens that are not accepted any more: one (`token`), those of a subject (`subject`; issued before a moment, or all), or
-- everybody's that were issued before a moment (`everybody`).
CREATE TABLE revocation (
    id text COLLATE "C" PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('token', 'subject', 'everybody')),
    value text NOT NULL,
    issued_before timestamptz,
    issuer text,
    made_at timestamptz NOT NULL,
    until timestamptz,
    made_by text NOT NULL,
    reason text NOT NULL
);
CREATE INDEX revocation_until ON revocation (until) WHERE until IS NOT NULL;
