-- Owners who asked for letters about the end of support. A row goes when they stop, when they never
-- confirm, and after the last letter.
CREATE TABLE subscribers (
    id TEXT PRIMARY KEY NOT NULL,
    model TEXT NOT NULL REFERENCES models (model) ON DELETE CASCADE,
    batch TEXT,
    language TEXT NOT NULL,
    address TEXT NOT NULL,
    asked_at BIGINT NOT NULL,
    -- When the letter with the link went out; none while it waits.
    asked_back_at BIGINT,
    confirmed_at BIGINT,
    -- The declaration and the day for which it was last looked whether a letter is due.
    looked_for TEXT NOT NULL,
    -- What was told so far, as JSON.
    ledger TEXT NOT NULL,
    -- On how many days the address was refused in a row.
    refusals BIGINT NOT NULL
);
CREATE UNIQUE INDEX subscribers_by_address ON subscribers (model, address);
CREATE INDEX subscribers_by_look ON subscribers (model, looked_for);
