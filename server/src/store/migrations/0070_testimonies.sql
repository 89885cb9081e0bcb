-- Intent: whose word this server takes as a witness of makers elsewhere. Admitted by a token, and by nothing else.
CREATE TABLE witness_devices (
    id TEXT PRIMARY KEY NOT NULL,
    model TEXT NOT NULL,
    public_key TEXT NOT NULL,
    admitted_at BIGINT NOT NULL
);

-- Runtime: the last word of each of them.
CREATE TABLE testimonies (
    device TEXT PRIMARY KEY NOT NULL REFERENCES witness_devices (id) ON DELETE CASCADE,
    model TEXT NOT NULL,
    verdict TEXT NOT NULL,
    why TEXT NOT NULL,
    since BIGINT NOT NULL,
    received_at BIGINT NOT NULL,
    envelope TEXT NOT NULL
);
CREATE INDEX testimonies_by_model ON testimonies (model, received_at);

-- What this server saw itself of the makers that it watches.
CREATE TABLE sights (
    model TEXT PRIMARY KEY NOT NULL,
    looked_at BIGINT NOT NULL,
    reached BIGINT NOT NULL,
    trouble TEXT NOT NULL,
    version BIGINT,
    seen_at BIGINT,
    fresh_until BIGINT
);
