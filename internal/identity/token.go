package identity

// Token is a stub replaced below.
type Token struct{}
