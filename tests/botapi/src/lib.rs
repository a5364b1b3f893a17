//! telexd-botapi
