package network

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ingotcloud/ingot/internal/db"
)

// Retag gives a thing these tags and no others; they are kept sorted, once each. Its table has the columns tags, revision
// and updated_at.
func (s *Service) Retag(ctx context.Context, tx *db.Tx, table Table, id string, tags []string) ([]string, error) {
	if err := checkTags(tags); err != nil {
		return nil, err
	}
	tags = append([]string{}, tags...)
	slices.Sort(tags)
	tags = slices.Compact(tags)
	_, err := tx.ExecContext(ctx, `UPDATE `+string(table)+` SET tags = $2, revision = revision + 1, updated_at = $3 WHERE id = $1`, id, db.JSON(tags), s.clock.Now())
	return tags, err
}

// checkTags knows Neutron's limits: 50 tags of 255 characters.
func checkTags(tags []string) error {
	if len(tags) > 50 {
		return invalid("tags", "%d are more than 50", len(tags))
	}
	for _, tag := range tags {
		if tag == "" || utf8.RuneCountInString(tag) > 255 || strings.Contains(tag, ",") {
			return invalid("tags", "'%s' is empty, has a comma, or is longer than 255 characters", tag)
		}
	}
	return nil
}

func (m *Meta) check() error {
	if utf8.RuneCountInString(m.Name) > 255 {
		return invalid("name", "'%s' exceeds maximum length of 255", m.Name)
	}
	if utf8.RuneCountInString(m.Description) > 255 {
		return invalid("description", "'%s' exceeds maximum length of 255", m.Description)
	}
	return checkTags(m.Tags)
}
