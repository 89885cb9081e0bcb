//! The papers that the law asks for: statements, self-assessments, records. The real `tenurectl` and
//! the real server, with their clocks set.

#[cfg(test)]
mod assess;
#[cfg(test)]
mod fixed;
#[cfg(test)]
mod office;
#[cfg(test)]
mod records;
#[cfg(test)]
mod statement;
