package image

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ingotcloud/ingot/internal/db"
	"github.com/ingotcloud/ingot/internal/fault"
)

// record is an image's row: what tenants see and what only this package knows.
type record struct {
	Image
	blobs    string // what the keys of the data begin with
	staged   string // the same of a staged file
	manifest string // SHA-256 of the manifest
	working  time.Time
}

const columns = `id, project, name, status, visibility, disk_format, container_format, size, virtual_size, checksum, hash,
	min_disk, min_ram, protected, hidden, tags, properties, created_at, updated_at, blobs, staged, manifest_sha256, working_until, failure`

func scan(row db.Scanner) (r record, err error) {
	err = row.Scan(&r.ID, &r.Project, &r.Name, &r.Status, &r.Visibility, &r.DiskFormat, &r.ContainerFormat, &r.Size, &r.VirtualSize,
		&r.Checksum, &r.Hash, &r.MinDisk, &r.MinRAM, &r.Protected, &r.Hidden, db.JSON(&r.Tags), db.JSON(&r.Properties),
		db.NullTime(&r.CreatedAt), db.NullTime(&r.UpdatedAt), &r.blobs, &r.staged, &r.manifest, db.NullTime(&r.working), &r.Failure)
	return r, err
}

func (r *record) values() []any {
	return []any{
		r.ID, r.Project, r.Name, r.Status, r.Visibility, r.DiskFormat, r.ContainerFormat, r.Size, r.VirtualSize,
		r.Checksum, r.Hash, r.MinDisk, r.MinRAM, r.Protected, r.Hidden, db.JSON(r.Tags), db.JSON(r.Properties),
		r.CreatedAt, r.UpdatedAt, r.blobs, r.staged, r.manifest, db.NullTime(&r.working), r.Failure,
	}
}

func insert(ctx context.Context, q db.Querier, r *record) error {
	_, err := q.ExecContext(ctx, `INSERT INTO image (`+columns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
		$13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)`, r.values()...)
	if db.IsDuplicate(err) {
		return fault.New(fault.Conflict, "Image ID %s already exists!", r.ID)
	}
	if err != nil {
		return err
	}
	return label(ctx, q, r)
}

func update(ctx context.Context, q db.Querier, r *record) error {
	_, err := q.ExecContext(ctx, `UPDATE image SET project = $2, name = $3, status = $4, visibility = $5, disk_format = $6,
		container_format = $7, size = $8, virtual_size = $9, checksum = $10, hash = $11, min_disk = $12, min_ram = $13,
		protected = $14, hidden = $15, tags = $16, properties = $17, created_at = $18, updated_at = $19, blobs = $20,
		staged = $21, manifest_sha256 = $22, working_until = $23, failure = $24 WHERE id = $1`, r.values()...)
	if err != nil {
		return err
	}
	return label(ctx, q, r)
}

// label keeps image_label in step with the row.
func label(ctx context.Context, q db.Querier, r *record) error {
	if _, err := q.ExecContext(ctx, `DELETE FROM image_label WHERE image = $1`, r.ID); err != nil {
		return err
	}
	add := func(name, value string) error {
		_, err := q.ExecContext(ctx, `INSERT INTO image_label (image, name, value) VALUES ($1, $2, $3)`, r.ID, name, value)
		return err
	}
	for _, tag := range r.Tags {
		if err := add("tags", tag); err != nil {
			return err
		}
	}
	for name, value := range r.Properties {
		if err := add(name, value); err != nil {
			return err
		}
	}
	return nil
}

func load(ctx context.Context, q db.Querier, id string) (record, error) {
	if !storable(id) {
		return record{}, notFound(strconv.Quote(id))
	}
	r, err := scan(q.QueryRowContext(ctx, `SELECT `+columns+` FROM image WHERE id = $1`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return r, notFound(id)
	}
	return r, err
}

// loadFor is load for a caller, who learns nothing of images that are hidden from it.
func loadFor(ctx context.Context, q db.Querier, c Caller, id string) (record, error) {
	r, err := load(ctx, q, id)
	if err != nil {
		return r, err
	}
	member := false
	if r.Visibility == Shared && !c.owns(&r.Image) {
		if member, err = isMember(ctx, q, id, c.Project); err != nil {
			return r, err
		}
	}
	if !c.sees(&r.Image, member) {
		return record{}, notFound(id)
	}
	return r, nil
}

func isMember(ctx context.Context, q db.Querier, id, project string) (bool, error) {
	var n int
	err := q.QueryRowContext(ctx, `SELECT count(*) FROM image_member WHERE image = $1 AND project = $2`, id, project).Scan(&n)
	return n > 0, err
}

// usage is what the project has.
func usage(ctx context.Context, q db.Querier, project string) (u Usage, err error) {
	err = q.QueryRowContext(ctx, `SELECT count(*), COALESCE(CAST(sum(size) AS BIGINT), 0) FROM image WHERE project = $1`, project).Scan(&u.Images, &u.Bytes)
	return u, err
}

// Filter says which images a list wants. Empty fields ask for nothing.
type Filter struct {
	Names, Statuses, IDs, DiskFormats, ContainerFormats []string // any of each

	Visibility   Visibility   // empty: what concerns the caller, without other projects' community images; "all": those too
	MemberStatus MemberStatus // of images shared with the caller; empty: accepted; "all": any
	Owner        string
	Checksum     string
	Hash         string
	Protected    *bool
	Hidden       *bool // nil: not hidden ones
	SizeMin      *int64
	SizeMax      *int64
	MinDisk      *int64
	MinRAM       *int64
	Created      []TimeFilter
	Updated      []TimeFilter
	Tags         []string          // all of them
	Properties   map[string]string // all of them
}

// TimeFilter compares a time, to the second, with At: op is one of eq neq gt gte lt lte.
type TimeFilter struct {
	Op string
	At time.Time
}

// Sort is one key of an order: a key of SortKeys.
type Sort struct {
	Key  string
	Desc bool
}

// SortKeys names what lists sort by and the SQL of it.
var SortKeys = map[string]string{
	"name": "name", "status": "status", "container_format": "container_format", "disk_format": "disk_format", "size": "size",
	"virtual_size": "virtual_size", "id": "id", "created_at": "created_at", "updated_at": "updated_at", "owner": "project",
	"visibility": "visibility", "checksum": "checksum", "protected": "protected", "min_disk": "min_disk", "min_ram": "min_ram",
	"os_hidden": "hidden",
}

func (f *Filter) where(w *db.Where, c Caller) error {
	f.whereVisible(w, c)
	for column, values := range map[string][]string{
		"name": f.Names, "status": f.Statuses, "id": f.IDs, "disk_format": f.DiskFormats, "container_format": f.ContainerFormats,
	} {
		if len(values) > 0 {
			w.And(column+" IN (?"+strings.Repeat(", ?", len(values)-1)+")", anys(values)...)
		}
	}
	for column, value := range map[string]string{"project": f.Owner, "checksum": f.Checksum, "hash": f.Hash} {
		if value != "" {
			w.And(column+" = ?", value)
		}
	}
	for condition, value := range map[string]*int64{
		"size >= ?": f.SizeMin, "size <= ?": f.SizeMax, "min_disk = ?": f.MinDisk, "min_ram = ?": f.MinRAM,
	} {
		if value != nil {
			w.And(condition, *value)
		}
	}
	if f.Protected != nil {
		w.And("protected = ?", *f.Protected)
	}
	w.And("hidden = ?", f.Hidden != nil && *f.Hidden)
	for column, filters := range map[string][]TimeFilter{"created_at": f.Created, "updated_at": f.Updated} {
		for _, t := range filters {
			if err := t.where(w, column); err != nil {
				return err
			}
		}
	}
	for _, tag := range f.Tags {
		w.And("EXISTS (SELECT 1 FROM image_label WHERE image = image.id AND name = 'tags' AND value = ?)", tag)
	}
	for name, value := range f.Properties {
		w.And("EXISTS (SELECT 1 FROM image_label WHERE image = image.id AND name = ? AND value = ?)", name, value)
	}
	return nil
}

func (f *Filter) whereVisible(w *db.Where, c Caller) {
	switch f.Visibility {
	case "", "all":
	default:
		w.And("visibility = ?", f.Visibility)
	}
	if f.Visibility == "" && f.Owner == "" {
		w.And("visibility <> ? OR project = ?", Community, c.Project)
	}
	if c.Admin {
		return
	}
	status := f.MemberStatus
	if status == "" {
		status = Accepted
	}
	w.And(`project = ? OR visibility IN (?, ?) OR (visibility = ? AND EXISTS
		(SELECT 1 FROM image_member m WHERE m.image = image.id AND m.project = ? AND (? = 'all' OR m.status = ?)))`,
		c.Project, Public, Community, Shared, c.Project, string(status), string(status))
}

func (t TimeFilter) where(w *db.Where, column string) error {
	from := t.At.UTC().Truncate(time.Second)
	to := from.Add(time.Second)
	switch t.Op {
	case "eq":
		w.And(column+" >= ? AND "+column+" < ?", from, to)
	case "neq":
		w.And(column+" < ? OR "+column+" >= ?", from, to)
	case "gt":
		w.And(column+" >= ?", to)
	case "gte":
		w.And(column+" >= ?", from)
	case "lt":
		w.And(column+" < ?", from)
	case "lte":
		w.And(column+" < ?", to)
	default:
		return fault.New(fault.Invalid, "Unable to filter by the unknown operator '%s'.", t.Op)
	}
	return nil
}

// Page is which part of a list. The marker is the id of the image before it.
type Page struct {
	Limit  int
	Marker string
	Sort   []Sort // the default is the newest first
}

// list reads one page. Between pages the order is by the sort keys' values, so images that come and go shift nothing.
func list(ctx context.Context, q db.Querier, c Caller, f Filter, p Page) ([]record, error) {
	var where db.Where
	if err := f.where(&where, c); err != nil {
		return nil, err
	}
	for _, arg := range where.Args {
		if text, ok := arg.(string); ok && !storable(text) {
			return nil, errUnstorable
		}
	}
	order, err := p.order()
	if err != nil {
		return nil, err
	}
	if p.Marker != "" {
		if err := p.after(ctx, q, c, &where, order); err != nil {
			return nil, err
		}
	}
	by := make([]string, len(order))
	for i, s := range order {
		by[i] = SortKeys[s.Key] + map[bool]string{true: " DESC", false: " ASC"}[s.Desc]
	}
	query := fmt.Sprintf("SELECT %s FROM image%s ORDER BY %s LIMIT %d", columns, &where, strings.Join(by, ", "), p.Limit)
	return db.List(ctx, q, scan, query, where.Args...)
}

// order is total: created_at and id break ties.
func (p *Page) order() ([]Sort, error) {
	order := p.Sort
	for _, key := range []string{"created_at", "id"} {
		given := false
		for _, s := range p.Sort {
			if SortKeys[s.Key] == "" {
				return nil, fault.New(fault.Invalid, "Unsupported sort_key. Acceptable values: name, status, container_format, disk_format, size, id, created_at, updated_at")
			}
			given = given || s.Key == key
		}
		if !given {
			order = append(order, Sort{key, len(p.Sort) == 0 || p.Sort[0].Desc})
		}
	}
	return order, nil
}

// after adds what is true of the rows behind the marker: the first key differs, or it is equal and the second does, ….
func (p *Page) after(ctx context.Context, q db.Querier, c Caller, w *db.Where, order []Sort) error {
	if _, err := loadFor(ctx, q, c, p.Marker); err != nil {
		return fault.New(fault.Invalid, "Invalid marker. Image could not be found.")
	}
	var alternatives []string
	var args []any
	equal := ""
	for _, s := range order {
		column := SortKeys[s.Key]
		// The marker's own value, read by the database: no value changes on a way through Go.
		value := "(SELECT marker." + column + " FROM image marker WHERE marker.id = ?)"
		alternatives = append(alternatives, "("+equal+column+map[bool]string{true: " < ", false: " > "}[s.Desc]+value+")")
		equal += column + " = " + value + " AND "
		for range strings.Count(alternatives[len(alternatives)-1], "?") {
			args = append(args, p.Marker)
		}
	}
	w.And(strings.Join(alternatives, " OR "), args...)
	return nil
}

func anys(values []string) []any {
	list := make([]any, len(values))
	for i, v := range values {
		list[i] = v
	}
	return list
}
