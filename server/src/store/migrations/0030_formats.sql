-- Runtime: what is made once of a signed declaration, and kept so that its digest stays the same.
CREATE TABLE proofs (
    model TEXT PRIMARY KEY NOT NULL REFERENCES models (model) ON DELETE CASCADE,
    declaration_sha256 TEXT NOT NULL,
    root_version BIGINT NOT NULL,
    body TEXT NOT NULL
);

-- Intent: the labels that others gave a model. Each has an end of its own, which moves no promise.
CREATE TABLE labels (
    id TEXT PRIMARY KEY NOT NULL,
    model TEXT NOT NULL REFERENCES models (model) ON DELETE CASCADE,
    scheme TEXT NOT NULL,
    level TEXT,
    reference TEXT NOT NULL,
    expires TEXT NOT NULL,
    url TEXT,
    noted_at BIGINT NOT NULL
);
CREATE INDEX labels_by_model ON labels (model);
