// Package foreign trusts a Keystone that exists already: tokens are validated there, and projects are looked up there.
//
// A valid token is not asked about again for a while (Config.Cache), so that is how late a revocation may be known; one
// that was refused is asked about every time. Ingot changes nothing in that Keystone.
package foreign

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/projects"
	"golang.org/x/sync/singleflight"

	"github.com/ingotcloud/ingot/internal/clock"
	"github.com/ingotcloud/ingot/internal/fault"
	"github.com/ingotcloud/ingot/internal/identity"
)

// Config says where the Keystone is and who asks it.
type Config struct {
	URL                       string // "https://cloud.example/identity/v3"
	Username, Password        string // of a user with the role service or admin on Project
	Project                   string
	UserDomain, ProjectDomain string        // names
	Cache                     time.Duration // how long a valid token is not asked about again
	Clock                     clock.Clock   // nil: the machine's
}

// maxCached is how many tokens are remembered.
const maxCached = 20_000

// askTimeout ends a question to the Keystone.
const askTimeout = 15 * time.Second

// Keystone is the existing one. It is safe for concurrent use.
type Keystone struct {
	config Config
	client *gophercloud.ServiceClient
	asking singleflight.Group

	mu    sync.Mutex
	known map[[sha256.Size]byte]answer
}

type answer struct {
	caller *identity.Caller
	until  time.Time
}

// Open logs the service user in. It fails when the Keystone is not there or refuses the user.
func Open(ctx context.Context, c Config) (*Keystone, error) {
	if c.Clock == nil {
		c.Clock = clock.Real{}
	}
	c.URL = strings.TrimSuffix(c.URL, "/")
	provider, err := openstack.AuthenticatedClient(ctx, gophercloud.AuthOptions{
		IdentityEndpoint: c.URL, Username: c.Username, Password: c.Password, DomainName: c.UserDomain, AllowReauth: true,
		Scope: &gophercloud.AuthScope{ProjectName: c.Project, DomainName: c.ProjectDomain},
	})
	if err != nil {
		return nil, fmt.Errorf("log in at the Keystone %s: %w", c.URL, err)
	}
	// Its catalog may name a URL that is not ours to reach; the configured one is.
	client := &gophercloud.ServiceClient{ProviderClient: provider, Endpoint: c.URL + "/", Type: "identity"}
	return &Keystone{config: c, client: client, known: map[[sha256.Size]byte]answer{}}, nil
}

// Authenticate tells who a token belongs to. It fails with fault.Unauthorized for a token that the Keystone refuses, and
// with fault.Unavailable when it cannot be asked.
func (k *Keystone) Authenticate(ctx context.Context, token string) (*identity.Caller, error) {
	key := sha256.Sum256([]byte(token))
	if caller := k.remembered(key); caller != nil {
		return caller, nil
	}
	// Requests that come at once with one token share the question, which the first one's leaving does not end.
	result := k.asking.DoChan(string(key[:]), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
		defer cancel()
		asked := k.config.Clock.Now()
		caller, err := k.validate(ctx, token)
		if err == nil {
			k.remember(key, caller, asked)
		}
		return caller, err
	})
	select {
	case got := <-result:
		if got.Err != nil {
			return nil, got.Err
		}
		return got.Val.(*identity.Caller), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (k *Keystone) remembered(key [sha256.Size]byte) *identity.Caller {
	k.mu.Lock()
	defer k.mu.Unlock()
	if a := k.known[key]; k.config.Clock.Now().Before(a.until) {
		return a.caller
	}
	return nil
}

func (k *Keystone) remember(key [sha256.Size]byte, caller *identity.Caller, asked time.Time) {
	until := asked.Add(k.config.Cache)
	if caller.Token.Expires.Before(until) {
		until = caller.Token.Expires
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.known) >= maxCached {
		for other, a := range k.known {
			if !asked.Before(a.until) {
				delete(k.known, other)
			}
		}
	}
	if len(k.known) < maxCached {
		k.known[key] = answer{caller, until}
	}
}

// validate asks the Keystone (GET /v3/auth/tokens). It shows tokens with access rules only to who says that it knows
// them.
func (k *Keystone) validate(ctx context.Context, token string) (*identity.Caller, error) {
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) || len(token) > 16<<10 {
		return nil, refused(errors.New("no token looks like this"))
	}
	var body struct {
		Token tokenBody `json:"token"`
	}
	_, err := k.client.Get(ctx, k.client.ServiceURL("auth", "tokens")+"?nocatalog", &body, &gophercloud.RequestOpts{
		MoreHeaders: map[string]string{"X-Subject-Token": token, "OpenStack-Identity-Access-Rules": "1.0"}, OkCodes: []int{http.StatusOK},
	})
	if gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
		return nil, refused(err)
	}
	if err != nil {
		return nil, unavailable(err)
	}
	return body.Token.caller(), nil
}

func refused(cause error) error {
	return fault.Wrap(cause, fault.Unauthorized, "The request you have made requires authentication.")
}

func unavailable(cause error) error {
	return fault.Wrap(cause, fault.Unavailable, "Tokens cannot be validated at the moment; try again.")
}

// Project finds a project by id. It fails with fault.NotFound when the Keystone has none of that id.
func (k *Keystone) Project(ctx context.Context, id string) (identity.Project, error) {
	p, err := projects.Get(ctx, k.client, url.PathEscape(id)).Extract()
	if gophercloud.ResponseCodeIs(err, http.StatusNotFound) {
		return identity.Project{}, fault.Wrap(err, fault.NotFound, "Could not find project: %s.", id)
	}
	if err != nil {
		return identity.Project{}, unavailable(err)
	}
	return identity.Project{
		ID: p.ID, DomainID: p.DomainID, ParentID: p.ParentID, Name: p.Name, Description: p.Description, Enabled: p.Enabled, Tags: p.Tags,
	}, nil
}
