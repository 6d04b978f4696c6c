-- Floor plans. Where a picture lies is said by two of its points: `from_u`, `from_v` and `to_u`, `to_v` in pixels, and
-- `from_x_m` … in metres; all of them or none. What is known of the picture is here as well, so that its bytes are read
-- only by those who want them.
CREATE TABLE plan (
    id               TEXT PRIMARY KEY,
    name             TEXT NOT NULL,
    site             TEXT NOT NULL,
    floor            REAL,
    opacity          REAL NOT NULL,
    from_u           REAL,
    from_v           REAL,
    from_x_m         REAL,
    from_y_m         REAL,
    to_u             REAL,
    to_v             REAL,
    to_x_m           REAL,
    to_y_m           REAL,
    media_type       TEXT,
    width_px         REAL,
    height_px        REAL,
    bytes            INTEGER,
    picture_revision INTEGER,
    revision         INTEGER NOT NULL,
    updated_us       INTEGER NOT NULL,
    updated_by       TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE plan_picture (
    id   TEXT PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;
