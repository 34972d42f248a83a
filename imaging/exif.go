package imaging

import "encoding/binary"

// exifOrientation reads tag 0x0112 of the first directory of a TIFF structure, which is what EXIF
// is (CIPA DC-008, 4.6). What is missing or makes no sense counts as Normal.
func exifOrientation(tiff []byte) Orientation {
	if len(tiff) < 8 {
		return Normal
	}
	var order binary.ByteOrder = binary.LittleEndian
	switch string(tiff[:4]) {
	case "II*\x00":
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return Normal
	}
	at := int64(order.Uint32(tiff[4:]))
	if at+2 > int64(len(tiff)) {
		return Normal
	}
	n := int64(order.Uint16(tiff[at:]))
	const entry = 12 // tag, type, count, value
	for k := range n {
		e := at + 2 + k*entry
		if e+entry > int64(len(tiff)) {
			return Normal
		}
		if order.Uint16(tiff[e:]) != 0x0112 {
			continue
		}
		const short = 3
		if o := Orientation(order.Uint16(tiff[e+8:])); order.Uint16(tiff[e+2:]) == short && o.valid() {
			return o
		}
		return Normal
	}
	return Normal
}
