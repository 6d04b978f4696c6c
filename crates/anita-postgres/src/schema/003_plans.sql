-- Floor plans. Where a picture lies is said by two of its points: `from_u`, `from_v` and `to_u`, `to_v` in pixels, and
-- `from_x_m` … in metres; all of them or none. What is known of the picture is here as well, so that its bytes are read
-- only by those who want them.
CREATE TABLE plan (
    id text COLLATE "C" PRIMARY KEY,
    name text NOT NULL,
    site text NOT NULL,
    floor double precision,
    opacity double precision NOT NULL,
    from_u double precision,
    from_v double precision,
    from_x_m double precision,
    from_y_m double precision,
    to_u double precision,
    to_v double precision,
    to_x_m double precision,
    to_y_m double precision,
    media_type text,
    width_px double precision,
    height_px double precision,
    bytes bigint,
    picture_revision bigint,
    revision bigint NOT NULL,
    updated_at timestamptz NOT NULL,
    updated_by text NOT NULL
);

CREATE TABLE plan_picture (
    id text COLLATE "C" PRIMARY KEY REFERENCES plan (id) ON DELETE CASCADE,
    body bytea NOT NULL
);
-- Pictures are compressed already.
ALTER TABLE plan_picture ALTER COLUMN body SET STORAGE EXTERNAL;
