-- Intent: vulnerabilities and incidents as people record them. `body` is the whole record.
CREATE TABLE vulnerabilities (
    id TEXT PRIMARY KEY NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Who changed what of it: the names of fields, never what a reporter told.
CREATE TABLE vulnerability_changes (
    vulnerability TEXT NOT NULL REFERENCES vulnerabilities (id),
    nth BIGINT NOT NULL,
    at BIGINT NOT NULL,
    who TEXT NOT NULL,
    fields TEXT NOT NULL,
    PRIMARY KEY (vulnerability, nth)
);

-- Runtime. When a release that fixes something went live, and was first assigned to a device.
CREATE TABLE release_fixes (
    model TEXT NOT NULL REFERENCES models (model) ON DELETE CASCADE,
    version TEXT NOT NULL,
    version_key TEXT NOT NULL,
    fix TEXT NOT NULL,
    issued_at BIGINT NOT NULL,
    PRIMARY KEY (model, version_key, fix)
);

CREATE TABLE release_offers (
    model TEXT NOT NULL REFERENCES models (model) ON DELETE CASCADE,
    version_key TEXT NOT NULL,
    offered_at BIGINT NOT NULL,
    PRIMARY KEY (model, version_key)
);

-- When a device says that it happened, if it can prove its clock.
ALTER TABLE reports ADD COLUMN happened_at BIGINT;
