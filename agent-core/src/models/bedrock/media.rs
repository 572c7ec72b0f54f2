//! Pictures and documents.

use super::request::built;
use crate::message::Media;
use crate::model::{ModelError, ModelErrorKind};
use aws_sdk_bedrockruntime::primitives::Blob;
use aws_sdk_bedrockruntime::types::{
    ContentBlock, DocumentBlock, DocumentFormat, DocumentSource, ImageBlock, ImageFormat, ImageSource,
};
use std::collections::BTreeSet;

const NAME_MAX: usize = 200;

/// The block for a picture or a document. `names` holds those given out in this conversation.
pub(super) fn block(media: &Media, names: &mut BTreeSet<String>) -> Result<ContentBlock, ModelError> {
    let bytes = aws_smithy_types::base64::decode(&media.data)
        .map_err(|_| refused(format!("the data of `{}` is not base64", media.media_type)))?;
    let bytes = Blob::new(bytes);
    if media.is_image() {
        let image = ImageBlock::builder().format(image(&media.media_type)?).source(ImageSource::Bytes(bytes));
        return Ok(ContentBlock::Image(built(image.build())?));
    }
    let document = DocumentBlock::builder()
        .format(format(&media.media_type)?)
        .name(unique(media.name.as_deref(), names))
        .source(DocumentSource::Bytes(bytes));
    Ok(ContentBlock::Document(built(document.build())?))
}

fn image(media_type: &str) -> Result<ImageFormat, ModelError> {
    Ok(match media_type {
        "image/png" => ImageFormat::Png,
        "image/jpeg" | "image/jpg" => ImageFormat::Jpeg,
        "image/gif" => ImageFormat::Gif,
        "image/webp" => ImageFormat::Webp,
        other => {
            return Err(refused(format!(
                "Bedrock takes no picture of type `{other}`: send png, jpeg, gif or webp"
            )));
        }
    })
}

fn format(media_type: &str) -> Result<DocumentFormat, ModelError> {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    Ok(match essence {
        "application/pdf" => DocumentFormat::Pdf,
        "text/csv" => DocumentFormat::Csv,
        "text/html" => DocumentFormat::Html,
        "text/markdown" => DocumentFormat::Md,
        "text/plain" => DocumentFormat::Txt,
        "application/msword" => DocumentFormat::Doc,
        "application/vnd.ms-excel" => DocumentFormat::Xls,
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document" => DocumentFormat::Docx,
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet" => DocumentFormat::Xlsx,
        other => {
            let types = "pdf, csv, html, markdown, plain text, doc, docx, xls or xlsx";
            return Err(refused(format!("Bedrock takes no document of type `{other}`: send {types}")));
        }
    })
}

/// A document's name is letters, digits, single blanks, hyphens, round and square brackets; and each is given once.
fn unique(name: Option<&str>, names: &mut BTreeSet<String>) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "-()[]".contains(c) { c } else { ' ' };
    let spelled: String = name.unwrap_or_default().chars().map(allowed).collect();
    let words: Vec<&str> = spelled.split_whitespace().collect();
    let mut clean: String = words.join(" ").chars().take(NAME_MAX - 8).collect();
    clean.truncate(clean.trim_end().len());
    if clean.is_empty() {
        clean.push_str("document");
    }
    let numbered = (2_u32..).map(|number| format!("{clean} ({number})"));
    let free = std::iter::once(clean.clone()).chain(numbered).find(|name| !names.contains(name));
    let free = free.unwrap_or_default();
    names.insert(free.clone());
    free
}

fn refused(message: String) -> ModelError {
    ModelError::new(ModelErrorKind::Refused, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_names_are_cleaned_and_each_is_given_once() {
        let mut names = BTreeSet::new();
        let given = ["report.v2/final.pdf", "report v2 final pdf", "…", "a  b", "(x) [y]-z"];
        let clean: Vec<String> = given.iter().map(|name| unique(Some(name), &mut names)).collect();
        assert_eq!(clean, ["report v2 final pdf", "report v2 final pdf (2)", "document", "a b", "(x) [y]-z"]);
        assert_eq!(unique(None, &mut names), "document (2)");
        let long = unique(Some(&"ab ".repeat(100)), &mut names);
        assert!(long.len() <= NAME_MAX && !long.ends_with(' '), "{long}");
    }
}
