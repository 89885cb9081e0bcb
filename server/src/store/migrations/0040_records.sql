-- Records of investigations and compliance failures. Each entry refers to the one before, and the
-- head to the last one, so that the database itself refuses to delete any of them.
CREATE TABLE records (
    number BIGINT PRIMARY KEY NOT NULL,
    previous_number BIGINT,
    previous_sha256 TEXT,
    sha256 TEXT NOT NULL,
    body TEXT NOT NULL,
    UNIQUE (number, sha256),
    FOREIGN KEY (previous_number, previous_sha256) REFERENCES records (number, sha256)
);

CREATE TABLE records_head (
    id BIGINT PRIMARY KEY NOT NULL CHECK (id = 1),
    number BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    FOREIGN KEY (number, sha256) REFERENCES records (number, sha256)
);
