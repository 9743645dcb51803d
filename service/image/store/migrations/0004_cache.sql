-- What each node keeps of images beside their stores, and is to fetch.
CREATE TABLE IF NOT EXISTS cached_images (
    node VARCHAR(64) NOT NULL,
    image_id VARCHAR(36) NOT NULL,
    size BIGINT NOT NULL,
    hits BIGINT NOT NULL,
    last_accessed BIGINT NOT NULL,
    last_modified BIGINT NOT NULL,
    PRIMARY KEY (node, image_id));

CREATE TABLE IF NOT EXISTS cache_queue (
    node VARCHAR(64) NOT NULL,
    image_id VARCHAR(36) NOT NULL,
    queued_at BIGINT NOT NULL,
    PRIMARY KEY (node, image_id));
