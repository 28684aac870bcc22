package ovn

import (
	"context"
	"fmt"
	"strings"

	"github.com/ovn-kubernetes/libovsdb/ovsdb"

	"github.com/ingotcloud/ingot/internal/fault"
)

// refusal is the answer of a database that did not carry out a transaction.
type refusal struct {
	op      *Op    // the operation it was for; nil: all together
	kind    string // RFC 7047, section 5.2, and those of ovsdb-server
	details string
}

func (r *refusal) Error() string {
	what := "the transaction"
	if r.op != nil {
		what = fmt.Sprintf("%s in %s", r.op.Op, r.op.Table)
	}
	return strings.TrimSuffix(what+": "+r.kind+": "+r.details, ": ")
}

// transact carries out the operations, all or none. A lost connection leaves open which.
func (s *session) transact(ctx context.Context, ops []Op) error {
	_, err := s.results(ctx, ops)
	return err
}

func (s *session) results(ctx context.Context, ops []Op) ([]ovsdb.OperationResult, error) {
	ctx, cancel := context.WithTimeout(ctx, transactTime)
	defer cancel()
	results, err := s.Transact(ctx, ops...)
	if err != nil {
		return nil, fault.Wrap(err, fault.Unavailable, "OVN's database cannot be written now.")
	}
	for i, result := range results {
		if result.Error == "" {
			continue
		}
		r := &refusal{kind: result.Error, details: result.Details}
		if i < len(ops) {
			r.op = &ops[i]
		}
		return nil, r.fault()
	}
	if len(results) < len(ops) {
		return nil, fault.New(fault.Internal, "OVN's database answered %d of %d operations.", len(results), len(ops))
	}
	return results, nil
}

func (r *refusal) fault() error {
	switch r.kind {
	case "constraint violation":
		if r.op != nil { // a value that OVN cannot have; only at the end of a transaction it is about other rows
			return fault.Wrap(r, fault.Internal, "OVN's database does not take what is written.")
		}
		fallthrough
	case "referential integrity violation", "duplicate uuid":
		return fault.Wrap(r, fault.Conflict, "OVN's database has rows that contradict the new ones.")
	case "timed out", "resources exhausted", "I/O error", "aborted", "not owner", "not allowed", "canceled":
		return fault.Wrap(r, fault.Unavailable, "OVN's database cannot be written now.")
	default:
		return fault.Wrap(r, fault.Internal, "OVN's database does not take what is written.")
	}
}
