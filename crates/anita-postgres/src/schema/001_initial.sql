-- The registry.
CREATE TABLE device (
    device_id text COLLATE "C" PRIMARY KEY,
    name text,
    kind text NOT NULL CHECK (kind IN ('tag', 'anchor', 'gateway')),
    site text NOT NULL,
    mounted_x_m double precision,
    mounted_y_m double precision,
    mounted_z_m double precision,
    floor double precision
);

-- What was last heard of each device, and its newest fix, which outlives the history.
CREATE TABLE device_state (
    device_id text COLLATE "C" PRIMARY KEY,
    status text NOT NULL CHECK (status IN ('connected', 'stale', 'disconnected')),
    last_seen timestamptz,
    battery_percent double precision,
    taken_at timestamptz,
    received_at timestamptz,
    x_m double precision,
    y_m double precision,
    z_m double precision,
    accuracy_m double precision,
    floor double precision,
    fix_battery_percent double precision,
    site text,
    source text,
    -- The 64 bits of the source's number, as a signed one.
    sequence bigint
);

-- Small numbers for the ids in the history. A device that was removed keeps its number until its fixes are gone; when it
-- comes back it gets another one.
CREATE TABLE device_number (
    number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id text COLLATE "C" NOT NULL,
    is_removed boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX device_number_of_id ON device_number (device_id) WHERE NOT is_removed;
CREATE INDEX device_number_removed ON device_number (number) WHERE is_removed;

-- Small numbers for where fixes come from: the source, and the site whose frame their coordinates are in.
CREATE TABLE origin (
    number integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source text COLLATE "C" NOT NULL,
    site text COLLATE "C" NOT NULL,
    UNIQUE (source, site)
);

-- The history. The discriminator is the source's number without its highest bit, or, where the source does not count, a
-- negative number made of the place.
CREATE TABLE fix (
    taken_at timestamptz NOT NULL,
    discriminator bigint NOT NULL,
    received_at timestamptz NOT NULL,
    x_m double precision NOT NULL,
    y_m double precision NOT NULL,
    z_m double precision NOT NULL,
    accuracy_m double precision,
    floor double precision,
    battery_percent double precision,
    device integer NOT NULL,
    origin integer NOT NULL,
    -- Whether the source's number has its highest bit.
    sequence_has_high_bit boolean,
    PRIMARY KEY (device, taken_at, discriminator)
) PARTITION BY RANGE (taken_at);

-- Days that have no table of their own: the future and what comes late, and everything from before there was this store.
CREATE TABLE fix_rest PARTITION OF fix DEFAULT;
CREATE INDEX fix_rest_taken_at ON fix_rest (taken_at);

-- The history for people.
CREATE VIEW location AS
SELECT
    device_number.device_id,
    fix.taken_at,
    fix.received_at,
    fix.x_m,
    fix.y_m,
    fix.z_m,
    fix.accuracy_m,
    fix.floor,
    fix.battery_percent,
    origin.source,
    origin.site,
    CASE
        WHEN fix.discriminator >= 0
        THEN fix.discriminator::numeric
            + CASE WHEN fix.sequence_has_high_bit THEN 9223372036854775808 ELSE 0 END
    END AS sequence
FROM fix
JOIN device_number ON device_number.number = fix.device AND NOT device_number.is_removed
JOIN origin ON origin.number = fix.origin;

-- Numbered messages.
CREATE TABLE event (
    ordinal bigint PRIMARY KEY,
    room text COLLATE "C" NOT NULL,
    epoch text NOT NULL,
    seq bigint NOT NULL,
    at timestamptz NOT NULL,
    devices text[] NOT NULL,
    from_client text,
    text text NOT NULL
);
CREATE INDEX event_of_room ON event (room, ordinal);
CREATE INDEX event_at ON event (at);

-- Where the numbering of each room is, also when its messages are gone.
CREATE TABLE room (
    name text COLLATE "C" PRIMARY KEY,
    epoch text NOT NULL,
    seq bigint NOT NULL,
    ordinal bigint NOT NULL
);

-- Who did what.
CREATE TABLE audit (
    ordinal bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    subject text COLLATE "C" NOT NULL,
    action text NOT NULL,
    object text NOT NULL,
    outcome text NOT NULL,
    address text
);
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_of_subject ON audit (subject, ordinal);

-- How many events and audit entries there are, and the room that they take.
CREATE TABLE kept (
    kind text PRIMARY KEY,
    count bigint NOT NULL,
    bytes bigint NOT NULL
);
INSERT INTO kept VALUES ('event', 0, 0), ('audit', 0, 0);

-- Days whose history was thinned out: by which stretch, up to which device, and how often something came late meanwhile.
CREATE TABLE thinning (
    day bigint PRIMARY KEY,
    every_us bigint NOT NULL,
    device integer NOT NULL,
    is_done boolean NOT NULL,
    lates bigint NOT NULL DEFAULT 0
);
