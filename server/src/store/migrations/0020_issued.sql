-- The manifests of releases, an index of the signed files like `releases`. When each was first
-- published is known here alone; where that is lost, it counts as published when it was read again.
CREATE TABLE release_manifests (
    model TEXT NOT NULL REFERENCES models (model) ON DELETE CASCADE,
    version_key TEXT NOT NULL,
    body TEXT NOT NULL,
    published_at BIGINT NOT NULL,
    PRIMARY KEY (model, version_key)
);
