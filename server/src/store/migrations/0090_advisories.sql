-- What the role `support` signed of holes: the list of a model as it lies in its repository.
CREATE TABLE advisory_lists (
    model TEXT PRIMARY KEY REFERENCES models (model) ON DELETE CASCADE,
    body TEXT NOT NULL
);
