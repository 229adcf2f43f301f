// Package template renders ${…} templates, in single strings and in whole objects; inside the braces stands CEL.
//
// What is rendered is data: it is never read as a template again, whatever a requester wrote into an input.
package template
