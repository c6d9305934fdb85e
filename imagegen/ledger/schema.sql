-- One row for each paid submission. Times are ISO 8601 in UTC with microseconds, amounts are
-- billionths of their currency, requests and jobs are JSON.

BEGIN IMMEDIATE;

CREATE TABLE IF NOT EXISTS attempts (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL
        CHECK (state IN ('intent', 'submitted', 'settled', 'unknown', 'refused')),
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    n INTEGER NOT NULL,
    request TEXT NOT NULL,
    prompt TEXT NOT NULL,  -- its digest
    reserved INTEGER,
    reserved_currency TEXT,
    reserved_basis TEXT NOT NULL,
    cost INTEGER CHECK (cost IS NULL OR state = 'settled'),
    cost_currency TEXT,
    cost_basis TEXT NOT NULL,
    images INTEGER NOT NULL,
    job_id TEXT,
    job TEXT,
    error TEXT,
    message TEXT,
    request_id TEXT,
    started_at TEXT NOT NULL,
    until TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    collected INTEGER NOT NULL,
    owner TEXT NOT NULL
);

CREATE INDEX IF NOT EXISTS attempts_by_state ON attempts (state, collected, started_at);
CREATE INDEX IF NOT EXISTS attempts_by_job ON attempts (job_id, provider);
CREATE INDEX IF NOT EXISTS attempts_by_request_id ON attempts (request_id, provider);

-- What each row adds to the account.
CREATE VIEW IF NOT EXISTS shares AS SELECT
    id,
    coalesce(CASE WHEN cost IS NOT NULL THEN cost_currency END, reserved_currency, '') AS currency,
    substr(started_at, 1, 10) AS day,
    provider,
    model,
    state <> 'refused' AS submissions,
    images,
    coalesce(cost, 0) AS spent,
    CASE WHEN cost IS NULL AND state <> 'refused' THEN coalesce(reserved, 0) ELSE 0 END AS open,
    state = 'unknown' AS unknown,
    cost IS NULL AND reserved IS NULL AND state <> 'refused' AS unpriced
FROM attempts;

-- The account: always the sum of the shares, by the triggers below, so that a budget is checked
-- without reading the rows.
CREATE TABLE IF NOT EXISTS totals (
    currency TEXT NOT NULL,
    day TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    submissions INTEGER NOT NULL,
    images INTEGER NOT NULL,
    spent INTEGER NOT NULL CHECK (typeof(spent) = 'integer'),
    open INTEGER NOT NULL CHECK (typeof(open) = 'integer'),
    unknown INTEGER NOT NULL,
    unpriced INTEGER NOT NULL,
    PRIMARY KEY (currency, day, provider, model)
) WITHOUT ROWID;

CREATE TRIGGER IF NOT EXISTS share_of_a_new_row AFTER INSERT ON attempts BEGIN
    INSERT INTO totals
    SELECT currency, day, provider, model, submissions, images, spent, open, unknown, unpriced
    FROM shares WHERE id = NEW.id
    ON CONFLICT (currency, day, provider, model) DO UPDATE SET
        submissions = submissions + excluded.submissions,
        images = images + excluded.images,
        spent = spent + excluded.spent,
        open = open + excluded.open,
        unknown = unknown + excluded.unknown,
        unpriced = unpriced + excluded.unpriced;
END;

CREATE TRIGGER IF NOT EXISTS share_taken_back BEFORE UPDATE ON attempts BEGIN
    INSERT INTO totals
    SELECT currency, day, provider, model, -submissions, -images, -spent, -open, -unknown, -unpriced
    FROM shares WHERE id = OLD.id
    ON CONFLICT (currency, day, provider, model) DO UPDATE SET
        submissions = submissions + excluded.submissions,
        images = images + excluded.images,
        spent = spent + excluded.spent,
        open = open + excluded.open,
        unknown = unknown + excluded.unknown,
        unpriced = unpriced + excluded.unpriced;
END;

CREATE TRIGGER IF NOT EXISTS share_given_anew AFTER UPDATE ON attempts BEGIN
    INSERT INTO totals
    SELECT currency, day, provider, model, submissions, images, spent, open, unknown, unpriced
    FROM shares WHERE id = NEW.id
    ON CONFLICT (currency, day, provider, model) DO UPDATE SET
        submissions = submissions + excluded.submissions,
        images = images + excluded.images,
        spent = spent + excluded.spent,
        open = open + excluded.open,
        unknown = unknown + excluded.unknown,
        unpriced = unpriced + excluded.unpriced;
END;

-- Since version 2. How long jobs took, as far as polls saw it: in seconds from their acceptance,
-- one went on at `low` and no more at `high`.
CREATE TABLE IF NOT EXISTS durations (
    number INTEGER PRIMARY KEY,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    low REAL NOT NULL,
    high REAL NOT NULL
);

CREATE INDEX IF NOT EXISTS durations_by_model ON durations (provider, model);

PRAGMA application_id = 1768777580;  -- "imgl"
PRAGMA user_version = 2;

COMMIT;
