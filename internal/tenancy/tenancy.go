// Package tenancy says who looks at a cloud that many share. Each domain decides for itself what that one sees.
package tenancy

// Viewer is through whose eyes something is looked at: a project's, with what is shared, or with All everybody's.
type Viewer struct {
	Project string
	All     bool
}

// Everything is the view of the cloud's own parts.
var Everything = Viewer{All: true}
