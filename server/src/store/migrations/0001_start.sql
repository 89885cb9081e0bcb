-- Intent: what people decided. It changes when a person acts.

CREATE TABLE users (
    name TEXT PRIMARY KEY NOT NULL,
    password_hash TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Random tokens are kept as their SHA-256 only.
CREATE TABLE setup_links (
    sha256 TEXT PRIMARY KEY NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE sessions (
    sha256 TEXT PRIMARY KEY NOT NULL,
    user_name TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    expires_at BIGINT NOT NULL
);

CREATE TABLE api_tokens (
    sha256 TEXT PRIMARY KEY NOT NULL,
    user_name TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    created_at BIGINT NOT NULL
);

CREATE TABLE models (
    model TEXT PRIMARY KEY NOT NULL,
    root_sha256 TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Releases and declarations are an index of the signed files, which are the truth: after a crash
-- they are read from those again.
CREATE TABLE releases (
    model TEXT NOT NULL REFERENCES models (model) ON DELETE CASCADE,
    version TEXT NOT NULL,
    version_key TEXT NOT NULL,
    minimum_key TEXT,
    kind TEXT NOT NULL,
    PRIMARY KEY (model, version_key)
);

CREATE TABLE declarations (
    model TEXT NOT NULL REFERENCES models (model) ON DELETE CASCADE,
    sequence BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    ends TEXT NOT NULL,
    body TEXT NOT NULL,
    published_at BIGINT NOT NULL,
    PRIMARY KEY (model, sequence)
);

CREATE TABLE enrolment_tokens (
    sha256 TEXT PRIMARY KEY NOT NULL,
    model TEXT,
    label TEXT NOT NULL,
    uses_left BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE TABLE devices (
    id TEXT PRIMARY KEY NOT NULL,
    model TEXT NOT NULL REFERENCES models (model),
    public_key TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'accepted', 'refused')),
    enrolled_at BIGINT NOT NULL,
    decided_at BIGINT,
    decided_by TEXT
);
CREATE INDEX devices_by_state ON devices (state, id);

CREATE TABLE audit (
    id TEXT PRIMARY KEY NOT NULL,
    at BIGINT NOT NULL,
    who TEXT NOT NULL,
    verb TEXT NOT NULL,
    subject TEXT NOT NULL
);

-- Runtime: what devices say. It changes all the time, in batches.

CREATE TABLE device_seen (
    device TEXT PRIMARY KEY NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    seen_at BIGINT NOT NULL,
    version TEXT NOT NULL,
    slot TEXT NOT NULL,
    state TEXT NOT NULL,
    support_ends TEXT
);

CREATE TABLE reports (
    device TEXT NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    id TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    event TEXT NOT NULL,
    version_key TEXT,
    outcome TEXT,
    body TEXT NOT NULL,
    envelope TEXT NOT NULL,
    PRIMARY KEY (device, id)
);
CREATE INDEX reports_by_outcome ON reports (device, version_key, outcome);
CREATE INDEX reports_by_time ON reports (received_at, device, id);
