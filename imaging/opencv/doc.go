// Package opencv decodes pictures with OpenCV: JPEG several times faster than in pure Go, at
// a reduced scale where that is allowed. It is behind the build tag gocv.
//
// Cut pictures are refused before OpenCV sees them, by imaging.Probe. What libjpeg makes of a JPEG that
// goes on to its end but is damaged in between is another matter: it writes a warning to stderr and fills
// in what is missing, where the pure Go decoder refuses.
package opencv
