-- One row a project, touched by whoever is about to use more of its quota: on
-- databases with several writers that puts them in a line.
CREATE TABLE IF NOT EXISTS quota_turns (
    owner VARCHAR(255) NOT NULL PRIMARY KEY,
    turn BIGINT NOT NULL);
