package network

import "github.com/ingotcloud/ingot/internal/db"

// Page is a part of a list that begins with the oldest.
type Page = db.Page
