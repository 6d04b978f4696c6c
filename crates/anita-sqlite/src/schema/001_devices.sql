CREATE TABLE device (
    id    TEXT PRIMARY KEY,
    name  TEXT,
    kind  TEXT NOT NULL CHECK (kind IN ('tag', 'anchor', 'gateway')),
    site  TEXT NOT NULL,
    x_m   REAL,
    y_m   REAL,
    z_m   REAL,
    floor REAL
) STRICT, WITHOUT ROWID;
