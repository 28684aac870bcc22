-- +goose Up
-- What was imported: Glance's tasks of an image.
CREATE TABLE image_task (
    id         TEXT PRIMARY KEY,            -- the attempt's name
    image      TEXT NOT NULL REFERENCES image (id) ON DELETE CASCADE,
    project    TEXT NOT NULL,               -- who asked
    owner      TEXT NOT NULL,               -- user who asked
    request    TEXT NOT NULL,
    status     TEXT NOT NULL,               -- image.TaskStatus
    message    TEXT NOT NULL,               -- why it failed
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL
);
CREATE INDEX image_task_image ON image_task (image, created_at);

-- +goose Down
DROP TABLE image_task;
