package osapi_test

import (
	"fmt"
	"net/http"

	"github.com/ingotcloud/ingot/internal/api/osapi"
	"github.com/ingotcloud/ingot/internal/fault"
)

// A row of the table and its handler. Which fields exist in which version is a table, too.
func Example() {
	fields := osapi.Fields{"description": osapi.Since(2, 55), "extra_specs": osapi.Since(2, 61)}
	show := func(r *osapi.Request) (any, error) {
		if r.Path("id") != "1" {
			return nil, fault.New(fault.NotFound, "Flavor %s could not be found.", r.Path("id"))
		}
		flavor := osapi.Object{"id": "1", "name": "bm.small", "description": nil, "extra_specs": osapi.Object{}}
		return osapi.Object{"flavor": fields.Trim(flavor, r.Version)}, nil
	}
	nova := osapi.Dialect{
		Name: "nova", Mount: "/compute", Envelope: osapi.NovaEnvelope, ProjectUnder: "/v2.1", RequestIDHeader: "X-Compute-Request-Id",
		Versions: osapi.Microversions{Min: osapi.V(2, 1), Max: osapi.V(2, 96), Service: "compute", Header: "X-OpenStack-Nova-API-Version"},
		Routes: []osapi.Route{
			{Method: http.MethodGet, Pattern: "/v2.1/flavors/{id}", Policy: osapi.ProjectReader, Handle: show},
		},
	}
	fmt.Print(osapi.Markdown(nova))
	// Output:
	// # The routes
	//
	// Generated from the route tables in `internal/api`.
	//
	// ## nova at `/compute`
	//
	// Microversions 2.1 to 2.96.
	//
	// | method | path | versions | policy | status |
	// |---|---|---|---|---|
	// | GET | `/v2.1/flavors/{id}` |  | project-reader | 200 |
}
