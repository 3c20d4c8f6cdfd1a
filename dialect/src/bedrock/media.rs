//! Formats, which Bedrock names by short words where others have media types.

const IMAGES: [(&str, &str); 4] =
    [("png", "image/png"), ("jpeg", "image/jpeg"), ("gif", "image/gif"), ("webp", "image/webp")];

const DOCUMENTS: [(&str, &str); 9] = [
    ("pdf", "application/pdf"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("html", "text/html"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
];

const AUDIO: [&str; 15] =
    ["mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpeg", "mpga", "pcm", "webm"];

fn media_type(table: &[(&str, &'static str)], format: &str) -> Option<&'static str> {
    table.iter().find(|(known, _)| *known == format).map(|(_, media_type)| *media_type)
}

fn format(table: &[(&'static str, &str)], media_type: &str) -> Option<&'static str> {
    let plain = media_type.split(';').next().unwrap_or_default().trim();
    table.iter().find(|(_, known)| known.eq_ignore_ascii_case(plain)).map(|(format, _)| *format)
}

pub(super) fn image_type(format: &str) -> Option<&'static str> {
    media_type(&IMAGES, format)
}

pub(super) fn image_format(media_type: &str) -> Option<&'static str> {
    if media_type.eq_ignore_ascii_case("image/jpg") { Some("jpeg") } else { format(&IMAGES, media_type) }
}

pub(super) fn document_type(format: &str) -> Option<&'static str> {
    media_type(&DOCUMENTS, format)
}

pub(super) fn document_format(media_type: &str) -> Option<&'static str> {
    format(&DOCUMENTS, media_type)
}

/// The format that the end of a name tells, for things in buckets.
pub(super) fn format_of_name(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    let extension = extension.to_ascii_lowercase();
    let extension = if extension == "jpg" { "jpeg" } else { extension.as_str() };
    IMAGES.iter().chain(&DOCUMENTS).map(|(format, _)| *format).find(|format| *format == extension)
}

pub(super) fn audio_format(format: &str) -> Option<&'static str> {
    AUDIO.into_iter().find(|known| *known == format)
}
